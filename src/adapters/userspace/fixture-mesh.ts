/**
 * Two nodes that hold a key and send to each other with it, for the tests of this folder. Nothing
 * else imports it.
 */
import { assert } from "../../core/assert.js";
import type { Operation, PolicyAction } from "../../core/sa.js";
import type { UserspaceKernel } from "./control-client.js";
import { applied, startClient, startNode, type Cleanup, type RunningNode } from "./fixture-node.js";
import { FakeKeySource, policySpec, saSpec, spiOf } from "./fixtures.js";

/** Of both nodes' agents. */
export const meshKeys = new FakeKeySource(36);

export interface Mesh {
  readonly a: RunningNode;
  readonly b: RunningNode;
  readonly clientA: UserspaceKernel;
  readonly clientB: UserspaceKernel;
}

export const install = (sa: ReturnType<typeof saSpec>): Operation => ({ kind: "install-sa", sa });
export const setPolicy = (policy: ReturnType<typeof policySpec>): Operation => ({
  kind: "set-policy",
  policy,
});

export function protect(keyId: number, local: RunningNode, peer: RunningNode): Operation {
  const action: PolicyAction = { kind: "protect", spi: spiOf(keyId, local.node.end) };
  return setPolicy(policySpec("out", peer.node, action));
}

/** Inbound and outbound SAs of one key, as `local` needs them towards `peer`. */
export function holdKey(keyId: number, local: RunningNode, peer: RunningNode): Operation[] {
  return [
    install(saSpec("in", keyId, peer.node, local.node)),
    install(saSpec("out", keyId, local.node, peer.node)),
  ];
}

/** Both nodes hold `keyId` and send with it. */
export async function startMesh(cleanup: Cleanup, keyId: number): Promise<Mesh> {
  const [a, b] = [await startNode(cleanup, 1), await startNode(cleanup, 2)];
  const clientA = await startClient(cleanup, a.socketPath, meshKeys);
  const clientB = await startClient(cleanup, b.socketPath, meshKeys);
  for (const [client, local, peer] of [
    [clientA, a, b],
    [clientB, b, a],
  ] as const) {
    const accept = setPolicy(policySpec("in", peer.node, { kind: "accept" }));
    const outcome = await applied(client, [
      [accept],
      holdKey(keyId, local, peer),
      [protect(keyId, local, peer)],
    ]);
    assert(outcome.failed.length === 0, "the mesh starts");
  }
  return { a, b, clientA, clientB };
}

/** Sends one numbered payload and expects that it leaves. */
export function send(
  from: RunningNode,
  to: RunningNode,
  number: number,
): { spi: number; sequence: number } {
  const outcome = from.dataplane.send(to.node.endpoint, Buffer.from(`packet ${number}`));
  assert(outcome.kind === "sent", `packet ${number} leaves`);
  return { spi: outcome.spi, sequence: outcome.sequence };
}
