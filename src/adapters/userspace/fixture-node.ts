/**
 * A node for the tests of this folder: a real dataplane, its control server and a client. Nothing
 * else imports it.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Operation } from "../../core/sa.js";
import type { ApplyOutcome, KernelDump, Recognise } from "../../ports/kernel.js";
import type { KeySource } from "../crypto/key-source.js";
import { PortError } from "../port-error.js";
import { UserspaceKernel, type UserspaceKernelOptions } from "./control-client.js";
import { ControlServer } from "./control-server.js";
import { Dataplane, type Delivery, type Drop } from "./dataplane.js";
import { makeNode, type FixtureNode } from "./fixtures.js";

/** What a test calls at its end; `node:test`'s context is one. */
export interface Cleanup {
  after(clean: () => Promise<void> | void): void;
}

export interface RunningNode {
  readonly node: FixtureNode;
  readonly dataplane: Dataplane;
  readonly socketPath: string;
  readonly delivered: Delivery[];
  readonly dropped: Drop[];
}

/**
 * A dataplane on a free port of `127.0.0.<index>`, with its control server in a directory of its
 * own.
 */
export async function startNode(cleanup: Cleanup, index: number): Promise<RunningNode> {
  const delivered: Delivery[] = [];
  const dropped: Drop[] = [];
  const dataplane = await Dataplane.open({
    local: { address: `127.0.0.${index}`, udpPort: 0 },
    nowMs: () => performance.now(),
    onDeliver: (delivery) => void delivered.push(delivery),
    onDrop: (drop) => void dropped.push(drop),
  });
  cleanup.after(() => dataplane.close());
  const directory = await mkdtemp(join(tmpdir(), "spindle-dataplane-"));
  cleanup.after(() => rm(directory, { recursive: true }));
  const socketPath = join(directory, "control");
  const server = await ControlServer.listen(dataplane, socketPath);
  cleanup.after(() => server.close());
  const { address, udpPort } = dataplane.local;
  return { node: makeNode(index, address, udpPort), dataplane, socketPath, delivered, dropped };
}

/** A client that has connected. */
export async function startClient(
  cleanup: Cleanup,
  socketPath: string,
  keySource: KeySource,
  options: Partial<UserspaceKernelOptions> = {},
): Promise<UserspaceKernel> {
  const client = new UserspaceKernel({ socketPath, keySource, ...options });
  cleanup.after(() => client.close());
  await heard(client, "connected");
  return client;
}

/** Waits until the client says `reason`. */
export function heard(client: UserspaceKernel, reason: string): Promise<void> {
  return new Promise((resolve) => {
    const stop = client.watch((said) => {
      if (said !== reason) return;
      stop();
      resolve();
    });
  });
}

export function applied(
  client: UserspaceKernel,
  stages: readonly (readonly Operation[])[],
  recognise: Recognise = () => null,
): Promise<ApplyOutcome> {
  return new Promise((resolve, reject) => {
    client.apply(stages, recognise, (outcome) =>
      outcome.ok ? resolve(outcome.value) : reject(asError(outcome.error)),
    );
  });
}

export function dumped(
  client: UserspaceKernel,
  recognise: Recognise = () => null,
): Promise<KernelDump> {
  return new Promise((resolve, reject) => {
    client.dump(recognise, (outcome) =>
      outcome.ok ? resolve(outcome.value) : reject(asError(outcome.error)),
    );
  });
}

function asError(failure: { code: string; message: string; retryable: boolean }): PortError {
  return new PortError(failure.code, failure.message, failure.retryable);
}

/** Lets the event loop turn until `fact` holds; the test's time limit ends it otherwise. */
export async function until(fact: () => boolean): Promise<void> {
  while (!fact()) await new Promise((resolve) => setImmediate(resolve));
}
