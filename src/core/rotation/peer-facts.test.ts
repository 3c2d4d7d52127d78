import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey } from "../../../test/support/fleet-snapshot.js";
import { accepting, makeContext, peer, recordOf, sasOf, selecting } from "../../../test/support/peer-states.js";
import { evaluatePeer } from "./peer.js";
import { is, sameFacts, type PeerFacts } from "./peer-facts.js";

const key = testKey(1);
const kernel = { sas: [...sasOf("in", key), ...sasOf("out", key)], policies: [...selecting(key), ...accepting()] };

function settled(): PeerFacts {
  return evaluatePeer(makeContext(), { entry: peer, kernel, report: undefined, recorded: recordOf([key]), proofs: [] });
}

test("same facts: a settled peer that is looked at twice gives the same facts", () => {
  assert.equal(is(settled(), "work"), false);
  assert.ok(sameFacts(settled(), settled()));
});

test("same facts: no field is left out", () => {
  const facts = settled();
  const other: Readonly<Record<string, (value: never) => unknown>> = {
    number: (value: number) => value + 1,
    object: (value: readonly unknown[]) => [...value, testKey(2)],
  };
  for (const [name, value] of Object.entries(facts)) {
    const changed = other[typeof value]?.(value as never);
    assert.notEqual(changed, undefined, `${name} can be changed`);
    assert.equal(sameFacts(facts, { ...facts, [name]: changed }), false, `${name} counts`);
  }
});
