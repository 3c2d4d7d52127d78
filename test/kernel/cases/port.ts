/** The kernel port on a real kernel: what its contract says, and that others' entries stay. */
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { openXfrmStat } from "../../../src/adapters/netlink/xfrm-stat.js";
import { limits } from "../../../src/core/limits.js";
import { policySlotOf, saSlotOf, type Operation } from "../../../src/core/sa.js";
import type { ApplyOutcome } from "../../../src/ports/kernel.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { openDatagramSocket } from "../../support/netlink/datagrams.js";
import {
  apply,
  dump,
  giveKey,
  install,
  makeKernelNode,
  recogniser,
  saSpec,
  setPolicy,
  spiOf,
  type KernelNode,
} from "../../support/netlink/kernel-node.js";
import { ip, ipBatch, makeNamespace } from "../../support/netlink/namespace.js";
import { addresses } from "../../support/netlink/samples.js";

interface Pair {
  readonly here: KernelNode;
  readonly peer: KernelNode;
}

/** A node in an empty kernel, and a peer that only exists as values. */
async function withNode(run: (pair: Pair) => Promise<void>): Promise<void> {
  ipBatch(["xfrm state flush", "xfrm policy flush"]);
  const here = await makeKernelNode(1, { ipv4: addresses.ipv4[0], ipv6: addresses.ipv6[0] });
  const peer = await makeKernelNode(2, { ipv4: addresses.ipv4[1], ipv6: addresses.ipv6[1] });
  giveKey(here, 3);
  try {
    await run({ here, peer });
  } finally {
    here.kernel.close();
    peer.kernel.close();
  }
}

const codes = ({ failed }: ApplyOutcome): readonly string[] => failed.map(({ code }) => code);

/** Both SAs and both policies of one key. */
function protect({ here, peer }: Pair, keyId: number): readonly (readonly Operation[])[] {
  const inbound = install(saSpec("in", keyId, peer, here));
  const outbound = install(saSpec("out", keyId, here, peer));
  const spi = spiOf(keyId, here);
  return [
    [setPolicy("in", peer, { kind: "accept" }), inbound],
    [outbound],
    [setPolicy("out", peer, { kind: "protect", spi })],
  ];
}

function unprotect({ here, peer }: Pair, keyId: number): readonly (readonly Operation[])[] {
  const sas = [saSpec("in", keyId, peer, here), saSpec("out", keyId, here, peer)];
  const policies = [setPolicy("in", peer, { kind: "accept" }), setPolicy("out", peer, { kind: "block" })];
  return [
    policies.map((set) => {
      assert.ok(set.kind === "set-policy");
      return { kind: "delete-policy", policy: policySlotOf(set.policy) };
    }),
    sas.map((sa) => ({ kind: "delete-sa", slot: saSlotOf(sa) })),
  ];
}

async function planIsReadBack(): Promise<void> {
  await withNode(async (pair) => {
    const recognise = recogniser(pair.here, pair.peer);
    const outcome = await apply(pair.here, protect(pair, 3), recognise);
    assert.deepEqual(outcome.failed, []);
    assert.deepEqual(outcome.sas.map(({ slot, bytes }) => `${slot.direction} ${bytes}`).sort(), ["in match", "out match"]);
    const actions = outcome.policies.map(({ slot, action }) => [slot.direction, action]);
    assert.deepEqual(actions, [
      ["in", { kind: "accept" }],
      ["out", { kind: "protect", spi: spiOf(3, pair.here) }],
    ]);
    const { sas, policies, identity, counters } = await dump(pair.here, recognise);
    const sorted = (some: typeof sas): typeof sas => [...some].sort((a, b) => a.slot.spi - b.slot.spi);
    assert.deepEqual(sorted(sas), sorted(outcome.sas));
    assert.equal(policies.length, 2);
    assert.match(identity.bootId, /^[0-9a-f-]{36}$/);
    assert.equal(typeof counters.XfrmInNoStates, "number");
  });
}

async function repeatingChangesNothing(): Promise<void> {
  await withNode(async (pair) => {
    const recognise = recogniser(pair.here, pair.peer);
    const first = await apply(pair.here, protect(pair, 3), recognise);
    assert.deepEqual(await apply(pair.here, protect(pair, 3), recognise), first);
    const empty = { sas: [], policies: [], failed: [] };
    assert.deepEqual(await apply(pair.here, unprotect(pair, 3), recognise), empty);
    assert.deepEqual(await apply(pair.here, unprotect(pair, 3), recognise), empty);
    assert.equal(ip("xfrm", "state") + ip("xfrm", "policy"), "");
  });
}

async function otherBytesCollide(): Promise<void> {
  await withNode(async (pair) => {
    const recognise = recogniser(pair.here, pair.peer);
    const inbound = [[install(saSpec("in", 3, pair.peer, pair.here))]];
    await apply(pair.here, inbound, recognise);
    const [identity] = pair.here.keyring.identities();
    pair.here.keyring.forget(identity!);
    assert.equal((await dump(pair.here, recognise)).sas[0]?.bytes, "unverifiable");
    assert.deepEqual(codes(await apply(pair.here, inbound, recognise)), ["KEY_NOT_AVAILABLE"]);
    giveKey(pair.here, 3, 99);
    const outcome = await apply(pair.here, inbound, recognise);
    assert.deepEqual(codes(outcome), ["EEXIST"]);
    assert.equal(outcome.sas[0]?.bytes, "mismatch");
  });
}

async function laterStagesWait(): Promise<void> {
  await withNode(async (pair) => {
    const { here, peer } = pair;
    const bad = setPolicy("out", peer, { kind: "accept" });
    const good = install(saSpec("in", 3, peer, here));
    const later = install(saSpec("out", 3, here, peer));
    const outcome = await apply(here, [[bad, good], [later]], recogniser(here, peer));
    assert.deepEqual(codes(outcome), ["DATAPLANE_UNSUPPORTED"]);
    assert.deepEqual(outcome.sas.map(({ slot }) => slot.direction), ["in"]);
  });
}

const gcm = `aead rfc4106(gcm(aes)) 0x${"05".repeat(20)} 128`;

/** Others' entries: one beside ours, and one in each slot that we want. */
async function othersStay(): Promise<void> {
  await withNode(async (pair) => {
    const { here, peer } = pair;
    const recognise = recogniser(here, peer);
    const [own, remote] = [here.addresses.ipv4, peer.addresses.ipv4];
    ipBatch([
      `xfrm state add src ${own} dst ${remote} proto esp spi 0xc0000001 reqid 1 mode transport ${gcm}`,
      `xfrm state add src ${own} dst ${remote} proto esp spi ${spiOf(3, here)} reqid 1 mode transport ${gcm}`,
      `xfrm policy add src ${own}/32 dst ${remote}/32 dir out priority 7 tmpl proto esp reqid 1 mode transport`,
      `xfrm policy add src 10.0.0.0/8 dst 10.0.0.0/8 dir in priority 7`,
    ]);
    const before = [ip("xfrm", "state"), ip("xfrm", "policy")];
    const outcome = await apply(here, [protect(pair, 3).flat()], recognise);
    assert.deepEqual(codes(outcome), ["DATAPLANE_SLOT_FOREIGN", "DATAPLANE_SLOT_FOREIGN"]);
    assert.deepEqual(outcome.sas.map(({ slot }) => slot.direction), ["in"]);
    assert.deepEqual(outcome.policies.map(({ slot }) => slot.direction), ["in"]);
    const dumped = await dump(here, recognise);
    assert.deepEqual([dumped.sas.length, dumped.policies.length], [1, 1]);
    await apply(here, unprotect(pair, 3), recognise);
    const withoutUse = (text: string): string => text.replaceAll(/\n\s+lastused .*/g, "");
    assert.deepEqual([ip("xfrm", "state"), ip("xfrm", "policy")].map(withoutUse), before.map(withoutUse));
  });
}

/** Of an address that the node had before: whatever it was, nothing of it may go on sending. */
async function formerAddressIsLeft(): Promise<void> {
  await withNode(async (pair) => {
    const { here, peer } = pair;
    const former = await makeKernelNode(1, { ipv4: "192.0.2.77", ipv6: "2001:db8::77" });
    giveKey(former, 3);
    const before = await apply(former, protect({ here: former, peer }, 3), recogniser(former, peer));
    assert.deepEqual(before.failed, []);
    former.kernel.close();
    ipBatch([`xfrm state add src 192.0.2.77 dst 192.0.2.99 proto esp spi 0x500 reqid 1 mode transport ${gcm}`]);
    giveKey(here, 4);
    await apply(here, protect(pair, 4), recogniser(here, peer));
    const { sas, policies } = await dump(here, recogniser(here, peer));
    assert.deepEqual([sas.length, policies.length], [2, 2]);
    const state = ip("xfrm", "state");
    assert.equal(state.match(/192\.0\.2\.77/g)?.length, 1, "the foreign SA alone is left");
    assert.ok(!ip("xfrm", "policy").includes("192.0.2.77"));
  });
}

/** Ours by its mark, of another peer address or mode: no plan can name it, and it holds the place. */
async function conflictingSaIsReplaced(): Promise<void> {
  for (const [source, mode] of [["192.0.2.50", "transport"], [addresses.ipv4[1], "tunnel"]] as const) {
    await withNode(async (pair) => {
      const { here, peer } = pair;
      const spi = spiOf(3, peer);
      const ends = `src ${source} dst ${here.addresses.ipv4}`;
      ipBatch([`xfrm state add ${ends} proto esp spi ${spi} reqid ${0x5350_0001} mode ${mode} ${gcm}`]);
      const inbound = [[install(saSpec("in", 3, peer, here))]];
      const outcome = await apply(here, inbound, recogniser(here, peer));
      assert.deepEqual(outcome.failed, []);
      assert.deepEqual(outcome.sas.map(({ bytes }) => bytes), ["match"]);
      assert.deepEqual(here.said, ["a conflicting SA of ours is replaced"]);
    });
  }
}

async function foreignChangesAreTold(): Promise<void> {
  await withNode(async (pair) => {
    const { here, peer } = pair;
    const reasons: string[] = [];
    const stop = here.kernel.watch((reason) => reasons.push(reason));
    await apply(here, protect(pair, 3), recogniser(here, peer));
    const others = `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x100 reqid 1 mode transport ${gcm}`;
    ipBatch([others]);
    await pause(100);
    assert.deepEqual(reasons, ["connected"]);
    const ends = `src ${here.addresses.ipv4} dst ${peer.addresses.ipv4}`;
    for (const change of [`xfrm state delete ${ends} proto esp spi ${spiOf(3, here)}`, "xfrm policy flush"]) {
      const heard = reasons.length;
      ipBatch([change]);
      while (reasons.length === heard) await pause(5);
    }
    await pause(100);
    assert.deepEqual(reasons, ["connected", "foreign-change", "foreign-change"]);
    stop();
    ipBatch(["xfrm state flush"]);
    await pause(100);
    assert.equal(reasons.length, 3);
  });
}

/** More operations than a batch, both families. */
async function manyPeersAreServed(): Promise<void> {
  await withNode(async ({ here, peer }) => {
    const count = limits.netlinkBatchMessagesMax + 30;
    const peers = Array.from({ length: count }, (_, i): KernelNode => ({
      ...peer,
      end: { ...peer.end, index: (100 + i) as typeof peer.end.index },
      addresses: { ipv4: `198.51.100.${i + 1}`, ipv6: `2001:db8:1::${(i + 1).toString(16)}`, udpPort: null },
    }));
    const families = ["ipv4", "ipv6"] as const;
    const sas = families.flatMap((family) => peers.map((one) => install(saSpec("in", 3, one, here, family))));
    const policies = families.flatMap((family) => peers.map((one) => setPolicy("in", one, { kind: "accept" }, family)));
    const outcome = await apply(here, [sas, policies], () => null);
    assert.deepEqual([outcome.failed.length, outcome.sas.length, outcome.policies.length], [0, 2 * count, 2 * count]);
    const dumped = await dump(here, () => null);
    assert.deepEqual([dumped.sas.length, dumped.policies.length], [2 * count, 2 * count]);
  });
}

const datagramsPerKey = 50;

/** Switches key by key while datagrams flow: make, switch one policy, break. */
async function rotationsLoseNothing(): Promise<void> {
  const namespaces = [makeNamespace("left"), makeNamespace("right")] as const;
  ipBatch(["link add left netns left type veth peer name right netns right"]);
  const nodes = await Promise.all(
    namespaces.map((namespace, i) => {
      const ends = { ipv4: addresses.ipv4[i]!, ipv6: addresses.ipv6[i]! };
      ipBatch([`address add ${ends.ipv4}/24 dev ${namespace.name}`, `link set ${namespace.name} up`, "link set lo up"], namespace);
      return makeKernelNode(i + 1, ends, namespace);
    }),
  );
  const [left, right] = [nodes[0]!, nodes[1]!];
  const pairs: readonly Pair[] = [{ here: left, peer: right }, { here: right, peer: left }];
  for (let keyId = 1; keyId <= 6; keyId += 1) nodes.forEach((node) => giveKey(node, keyId));
  const run = async (pair: Pair, stages: readonly (readonly Operation[])[]): Promise<void> => {
    const outcome = await apply(pair.here, stages, recogniser(pair.here, pair.peer));
    assert.deepEqual(outcome.failed, []);
  };
  for (const pair of pairs) await run(pair, protect(pair, 1).slice(0, 1));
  for (const pair of pairs) await run(pair, protect(pair, 1).slice(1));
  const [sender, receiver] = pairs.map(({ here }, i) =>
    namespaces[i]!.within(() => openDatagramSocket("ipv4", here.addresses.ipv4, 5_000)),
  );
  let sent = 0;
  let received = 0;
  const tick = setInterval(() => {
    for (let i = 0; i < 5; i += 1) {
      assert.equal(sender!.send(`${sent}`, right.addresses.ipv4, 5_000), 0);
      sent += 1;
    }
    received += receiver!.receiveAll().length;
  }, 5);
  for (let keyId = 2; keyId <= 6; keyId += 1) {
    for (const pair of pairs) await run(pair, protect(pair, keyId).slice(0, 1));
    for (const pair of pairs) await run(pair, protect(pair, keyId).slice(1));
    // The old SAs go when datagrams have passed under the new ones.
    const enough = sent + datagramsPerKey;
    while (sent < enough) await pause(5);
    for (const { here, peer } of pairs) {
      const old = [saSpec("in", keyId - 1, peer, here), saSpec("out", keyId - 1, here, peer)];
      await run({ here, peer }, [old.map((sa) => ({ kind: "delete-sa", slot: saSlotOf(sa) }))]);
    }
  }
  clearInterval(tick);
  for (let idleMs = 0; received < sent && idleMs < 1_000; idleMs += 10) {
    await pause(10);
    received += receiver!.receiveAll().length;
  }
  assert.equal(received, sent);
  for (const [i, { here, peer }] of pairs.entries()) {
    const { sas, counters } = await dump(here, recogniser(here, peer));
    assert.deepEqual(sas.map(({ slot }) => slot.direction).sort(), ["in", "out"]);
    assert.deepEqual(Object.entries(counters).filter(([, count]) => count > 0), []);
    assert.deepEqual(namespaces[i]!.within(() => openXfrmStat()).read(), counters);
  }
  for (const socket of [sender!, receiver!]) socket.close();
  for (const { kernel } of nodes) kernel.close();
  for (const namespace of namespaces) namespace.close();
}

export const portCases: readonly KernelCase[] = [
  { name: "a plan is run and read back, and the dump says the same", run: planIsReadBack },
  { name: "installing the equal and deleting the absent change nothing", run: repeatingChangesNothing },
  { name: "other bytes in a slot of ours collide and are seen", run: otherBytesCollide },
  { name: "a stage that failed keeps the next from starting", run: laterStagesWait },
  { name: "others' SAs and policies are never listed, changed or deleted", run: othersStay },
  { name: "what is left of a former address of the node is removed", run: formerAddressIsLeft },
  { name: "an SA of ours that no plan can name is replaced", run: conflictingSaIsReplaced },
  { name: "changes to ours by others are told, once and no others", run: foreignChangesAreTold },
  { name: "more operations than a batch holds, in both families", run: manyPeersAreServed },
  { name: "five rotations through the port under traffic lose nothing", run: rotationsLoseNothing },
];
