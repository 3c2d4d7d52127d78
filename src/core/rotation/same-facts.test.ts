import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey } from "../../../test/support/fleet-snapshot.js";
import { accepting, makeContext, peer, recordOf, sasOf, selecting } from "../../../test/support/peer-states.js";
import { evaluatePeer, type PeerFacts } from "./peer.js";
import { sameFacts } from "./same-facts.js";

const key = testKey(1);
const kernel = { sas: [...sasOf("in", key), ...sasOf("out", key)], policies: [...selecting(key), ...accepting()] };

function settled(): PeerFacts {
  return evaluatePeer(makeContext(), { entry: peer, kernel, report: undefined, recorded: recordOf([key]) });
}

test("same facts: a settled peer that is looked at twice gives the same facts", () => {
  assert.equal(settled().operations, 0);
  assert.ok(sameFacts(settled(), settled()));
});

test("same facts: no field is left out", () => {
  const facts = settled();
  const other: Readonly<Record<string, (value: never) => unknown>> = {
    boolean: (value: boolean) => !value,
    number: (value: number) => value + 1,
    string: (value: string) => `${value}?`,
    object: (value: object) => (Array.isArray(value) ? [...(value as unknown[]), testKey(2)] : { ...value }),
  };
  for (const [name, value] of Object.entries(facts)) {
    const changed = other[typeof value]?.(value as never);
    assert.notEqual(changed, undefined, `${name} can be changed`);
    assert.equal(sameFacts(facts, { ...facts, [name]: changed }), false, `${name} counts`);
  }
});
