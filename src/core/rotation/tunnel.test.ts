/** Tunnel mode as the machine sees it: several paths by one pair of SAs, each with its policies, and one of them for probes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { peer as plainPeer, makeContext, recordOf, sasOf, self as plainSelf } from "../../../test/support/peer-states.js";
import { steadyReport, testKey } from "../../../test/support/fleet-snapshot.js";
import type { RosterEntry, RosterRevision } from "../node.js";
import type { Operation, PolicyAction } from "../sa.js";
import type { Spi } from "../spi.js";
import type { Context } from "./context.js";
import type { HeldPolicy, HeldSa } from "./held.js";
import type { PeerInputs } from "./path-view.js";
import { senderSpi } from "./path.js";
import { evaluatePeer } from "./peer.js";
import { fact, is } from "./peer-facts.js";
import { planPeer } from "./peer-plan.js";
import { lackingProofs } from "./probes.js";

const behind = (entry: RosterEntry, ...cidrs: readonly string[]): RosterEntry => ({
  ...entry,
  addresses: { ...entry.addresses, cidrs },
});
const self = behind(plainSelf, "10.1.0.0/24");
const peer = behind(plainPeer, "10.2.0.0/24", "10.3.0.0/24");
const key = testKey(1);
const own = plainSelf.addresses.ipv4 ?? "";
const outer = plainPeer.addresses.ipv4 ?? "";
const spi: Spi = senderSpi({ self }, peer, "out", key.keyId);

function contextOf(changes: Partial<Context> = {}): Context {
  return makeContext({ self, ...changes });
}

/** To a network of the peer, or to its address for probes. */
function policy(direction: "in" | "out", remote: string, action: PolicyAction): HeldPolicy {
  const isOfProbes = remote === outer;
  const { udpPort } = plainPeer.addresses;
  const local = isOfProbes ? own : "10.1.0.0/24";
  return { direction, family: "ipv4", local, remote: { address: remote, udpPort: isOfProbes ? udpPort : null }, action };
}

const bothWays = (remote: string): readonly HeldPolicy[] => [
  policy("in", remote, { kind: "accept", outer }),
  policy("out", remote, { kind: "protect", spi, outer }),
];

/** Covered for the key, with both SAs. */
function inputs(policies: readonly HeldPolicy[], entry = peer, sas?: readonly HeldSa[]): PeerInputs {
  const held = sas ?? [...sasOf("in", key), ...sasOf("out", key)];
  const { name, incarnationId } = entry;
  const report = { ...steadyReport(1, key), node: name, incarnationId, through: peer.revision };
  return { entry, kernel: { sas: held, policies }, report, recorded: recordOf([key], entry), proofs: [] };
}

function describe(operation: Operation): string {
  switch (operation.kind) {
    case "install-sa":
      return `install ${operation.sa.direction} ${operation.sa.key.mode}`;
    case "delete-sa":
      return `delete ${operation.slot.direction}`;
    case "set-policy": {
      const { direction, local, remote, action } = operation.policy;
      return `${direction} ${local} ${remote.address} ${action.kind}`;
    }
    case "delete-policy":
      return `delete ${operation.policy.direction} ${operation.policy.remote.address}`;
  }
}

function planned(context: Context, given: PeerInputs): Readonly<Record<string, readonly string[]>> {
  const stages = Object.entries(planPeer(context, given)).filter(([, operations]) => operations.length > 0);
  return Object.fromEntries(stages.map(([name, operations]) => [name, operations.map(describe)]));
}

test("tunnel: networks of one peer share their SAs and have a policy each", () => {
  assert.deepEqual(planned(contextOf(), { ...inputs([], peer, []), recorded: undefined }), {
    block: ["out 10.1.0.0/24 10.2.0.0/24 block", "out 10.1.0.0/24 10.3.0.0/24 block", `out ${own} ${outer} block`],
    inbound: ["install in tunnel", "in 10.1.0.0/24 10.2.0.0/24 accept", "in 10.1.0.0/24 10.3.0.0/24 accept", `in ${own} ${outer} accept`],
    outbound: ["install out tunnel"],
  });
});

test("tunnel: the switch is one update for each pair of networks, and one for probes", () => {
  const blocked = ["10.2.0.0/24", "10.3.0.0/24", outer].flatMap((remote) => [
    policy("in", remote, { kind: "accept", outer }),
    policy("out", remote, { kind: "block" }),
  ]);
  assert.deepEqual(planned(contextOf(), inputs(blocked)), {
    switch: ["out 10.1.0.0/24 10.2.0.0/24 protect", "out 10.1.0.0/24 10.3.0.0/24 protect", `out ${own} ${outer} protect`],
  });
});

test("tunnel: an outbound SA that one of several policies selects is not deleted", () => {
  const next = testKey(2);
  const context = contextOf({ hold: [next], current: next, candidates: [next] });
  const given = inputs([...bothWays("10.2.0.0/24"), ...bothWays(outer), policy("out", "10.3.0.0/24", { kind: "block" })]);
  const { delete: deleted = [] } = planned(context, { ...given, report: undefined });
  assert.ok(!deleted.includes("delete out"), deleted.join());
});

test("tunnel: a network more waits for its cover; the others go on", () => {
  const uncovered = { ...inputs([...bothWays("10.2.0.0/24"), ...bothWays(outer)]), report: undefined };
  const { facts } = evaluatePeer(contextOf(), uncovered);
  assert.ok(is(facts, "missingCurrent"), "nothing can be received for the new one yet");
  assert.ok(is(facts, "onCurrent"), "the one that was there still sends");
  assert.deepEqual(planned(contextOf(), uncovered), {
    block: ["out 10.1.0.0/24 10.3.0.0/24 block"],
    inbound: ["in 10.1.0.0/24 10.3.0.0/24 accept"],
  });
});

test("tunnel: what a peer reported before its networks changed is no cover for them", () => {
  const grown = { ...peer, revision: (peer.revision + 1) as RosterRevision };
  const given = inputs([...bothWays("10.2.0.0/24"), ...bothWays(outer), policy("in", "10.3.0.0/24", { kind: "accept", outer })], grown);
  const { switch: switched = [], block = [] } = planned(contextOf(), given);
  assert.deepEqual([switched, block], [[], ["out 10.1.0.0/24 10.3.0.0/24 block"]]);
});

test("tunnel: a network that its node no longer has loses its policies", () => {
  const policies = ["10.2.0.0/24", "10.3.0.0/24", outer].flatMap(bothWays);
  const given = inputs(policies, behind(plainPeer, "10.2.0.0/24"));
  assert.deepEqual(planned(contextOf(), given), { delete: ["delete in 10.3.0.0/24", "delete out 10.3.0.0/24"] });
});

test("tunnel: a policy that leads to the network's former node is as good as none", () => {
  const astray = bothWays("10.2.0.0/24").map(({ action, ...slot }) => ({
    ...slot,
    action: { ...action, outer: "192.0.2.200" } as PolicyAction,
  }));
  const given = inputs([...astray, ...bothWays("10.3.0.0/24"), ...bothWays(outer)]);
  assert.ok(is(evaluatePeer(contextOf(), given).facts, "missingCurrent"));
  assert.deepEqual(planned(contextOf(), given), {
    inbound: ["in 10.1.0.0/24 10.2.0.0/24 accept"],
    switch: ["out 10.1.0.0/24 10.2.0.0/24 protect"],
  });
});

test("tunnel: nodes of different modes have no path, and nothing stays between them", () => {
  const given = inputs([...bothWays("10.2.0.0/24"), ...bothWays(outer)], plainPeer);
  const { facts } = evaluatePeer(contextOf(), given);
  assert.equal(facts & (fact.blocked | fact.onCurrent), fact.blocked);
  const { delete: deleted = [] } = planned(contextOf(), given);
  for (const slot of ["out 10.2.0.0/24", "in 10.2.0.0/24", `out ${outer}`, `in ${outer}`]) assert.ok(deleted.includes(`delete ${slot}`), deleted.join());
});

test("tunnel: a new key is proven once, however many networks go over to it", () => {
  const next = testKey(2);
  const context = contextOf({ next, hold: [key, next], candidates: [next, key], sampleRate: 1 });
  const sas = [key, next].flatMap((one) => [...sasOf("in", one), ...sasOf("out", one)]);
  const report = { ...steadyReport(2, key), holds: [key, next] };
  const policies = ["10.2.0.0/24", "10.3.0.0/24", outer].flatMap(bothWays);
  const given = { ...inputs(policies, peer, sas), report, recorded: recordOf([key, next], peer) };
  assert.deepEqual(planned(context, given), {});
  assert.deepEqual(lackingProofs(context, given).map(({ probe: { family, key: { keyId } } }) => [family, keyId]), [["ipv4", 2]]);
});
