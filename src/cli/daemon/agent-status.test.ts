import assert from "node:assert/strict";
import { test } from "node:test";
import { fact } from "../../core/rotation/peer-facts.js";
import { noTally, type Tally } from "../../core/rotation/tally.js";
import type { AgentView } from "../../runtime/agent-loop.js";
import { agentReadiness, unencrypted } from "./agent-status.js";

interface Case {
  readonly name: string;
  readonly tally: Partial<Tally>;
  readonly connected?: boolean;
  readonly admitted?: boolean;
  /** Keys of the fleet: both only while it rotates. */
  readonly keys?: { readonly current: boolean; readonly next: boolean };
  readonly level?: "off";
  readonly runsForMs?: number;
  readonly says: RegExp | null;
}

const late = 60_000;
const rotating = { current: true, next: true };

const cases: readonly Case[] = [
  { name: "alone", tally: { peers: 0 }, says: null },
  { name: "all pairs covered", tally: { peers: 100 }, says: null },
  { name: "just enough", tally: { peers: 100, blocked: 5 }, says: null },
  { name: "one too few", tally: { peers: 100, blocked: 6 }, says: /^94 of 100 pairs are covered/ },
  { name: "what others owe, timed out", tally: { peers: 100, blocked: 100 }, runsForMs: late, says: null },
  { name: "its own SAs missing", tally: { peers: 100, blocked: 100, missingCurrent: 100 }, says: /^inbound SAs of 0 of 100/ },
  { name: "its own SAs missing, late", tally: { peers: 100, missingCurrent: 6 }, runsForMs: late, says: /^inbound SAs of 94/ },
  { name: "one peer's SAs missing in a small fleet", tally: { peers: 10, missingCurrent: 1 }, says: /^inbound SAs of 9 of 10/ },
  { name: "one peer's SAs missing in a small fleet, late", tally: { peers: 10, missingCurrent: 1 }, runsForMs: late, says: null },
  { name: "one of two peers' SAs missing, late", tally: { peers: 2, missingCurrent: 1 }, runsForMs: late, says: null },
  { name: "two peers' SAs missing in a small fleet, late", tally: { peers: 10, missingCurrent: 2 }, runsForMs: late, says: /^inbound SAs of 8/ },
  { name: "the only peer's SAs missing, late", tally: { peers: 1, missingCurrent: 1 }, runsForMs: late, says: /^inbound SAs of 0 of 1/ },
  { name: "a key file with the newest key only", tally: { peers: 10, missingCurrent: 10 }, keys: rotating, says: null },
  { name: "neither key", tally: { peers: 10, missingCurrent: 10, missingNext: 9 }, keys: rotating, runsForMs: late, says: /of 1 of 10/ },
  { name: "first key", tally: { peers: 10, missingNext: 10 }, keys: { current: false, next: true }, runsForMs: late, says: /0 of 10/ },
  { name: "a fleet without a key", tally: { peers: 10, blocked: 10 }, keys: { current: false, next: false }, runsForMs: late, says: null },
  { name: "a fleet that does not encrypt", tally: { peers: 10, blocked: 10, missingCurrent: 10 }, level: "off", says: null },
  { name: "not admitted", tally: {}, admitted: false, says: /not admitted/ },
  { name: "not admitted, late", tally: {}, admitted: false, runsForMs: late, says: /not admitted/ },
  { name: "no dataplane, late", tally: {}, connected: false, runsForMs: late, says: /dataplane is not connected/ },
];

for (const { name, tally, connected = true, admitted = true, keys, level = "require", runsForMs = 0, says } of cases) {
  test(`agent readiness: ${name}`, () => {
    const slots = { current: (keys?.current ?? true) ? {} : null, next: (keys?.next ?? false) ? {} : null };
    const view = {
      state: { tally: { ...noTally, ...tally }, context: admitted ? { ...slots, level } : null },
      world: { kernel: { connected } },
    } as unknown as AgentView;
    const { ok, reasons } = agentReadiness(view, { share: 0.95, timeoutMs: late, taint: null }, runsForMs);
    assert.equal(ok, says === null, reasons.join());
    if (says !== null) assert.match(reasons[0] ?? "", says);
  });
}

test("agent status: a peer that is sent to plainly does not count as blocked", () => {
  const facts = [fact.live | fact.blocked, fact.live | fact.blocked | fact.plain | fact.unproven, fact.live | fact.onCurrent, fact.blocked];
  const peers = facts.map((one, i) => [`n${i}`, one] as const);
  assert.deepEqual(unencrypted({ state: { peers } } as unknown as AgentView), { blocked: 1, plain: 1 });
});
