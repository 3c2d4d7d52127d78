/** A scale-up on a real API server with a sick node in it, and what becomes of the taints of its nodes. */
import assert from "node:assert/strict";
import type { TestContext } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { listObjects } from "../../src/adapters/registry/kubernetes/list-objects.js";
import { agentReadiness } from "../../src/cli/daemon/agent-status.js";
import { startTaintRemoval } from "../../src/cli/daemon/startup-taint.js";
import { nodeNameOf, type LoadAgent } from "../../src/cli/loadtest/agent.js";
import type { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import type { LogFields } from "../../src/ports/log.js";
import { Recorder } from "../contract/recorder.js";
import { clientOf, makeNamespace } from "./kubernetes.js";
import { startJoiningFleet } from "./joining-fleet.js";

export const startup = "spindle.dev/agent-not-ready";
/** Not ours, on every Node. */
export const foreign = { key: "example.com/maintenance", value: "tonight", effect: "NoSchedule" };
const ready = { share: 0.95, timeoutMs: 60_000, taint: startup };
const ours = ["NoSchedule", "NoExecute"].map((effect) => ({ key: startup, effect }));

export async function makeNode(client: ApiClient, name: string): Promise<void> {
  const [first, second] = ours;
  const spec = { taints: [first, foreign, second] };
  const body = { apiVersion: "v1", kind: "Node", metadata: { name }, spec };
  const made = await client.send({ method: "POST", path: "/api/v1/nodes", body });
  assert.equal(made.kind, "object");
}

/** Keys of taints by node; the server adds one of its own to a new Node. */
export async function taintsOf(client: ApiClient): Promise<ReadonlyMap<string, readonly string[]>> {
  const { objects } = await listObjects(client, "/api/v1/nodes");
  return new Map(
    objects.map(({ metadata, spec }) => {
      const { taints = [] } = spec as { taints?: { key: string }[] };
      return [metadata.name, taints.map(({ key }) => key)];
    }),
  );
}

export interface ScaleUp {
  readonly namespace: string;
  /** Index of the first. */
  readonly from: number;
  /** How many join at once a fleet of one. */
  readonly joins: number;
  readonly coordination: "barrier" | "pairwise";
  /** Whether the time-out passes once all are admitted; else it never does. */
  readonly timesOut: boolean;
}

/** The kernel of one takes no SA until it is healed. */
export async function scaleUp(context: TestContext, server: KubernetesServer, { namespace, from, joins, coordination, timesOut }: ScaleUp): Promise<void> {
  const client = clientOf(server, namespace);
  context.after(() => client.close());
  await makeNamespace(client, namespace);
  const names = Array.from({ length: joins + 1 }, (_, index) => nodeNameOf(from + index));
  await Promise.all(names.map((name) => makeNode(client, name)));
  const kubeconfig = server.writeKubeconfig("administrator", namespace);
  const target = { kind: "kubernetes", kubeconfig, context: null, namespace } as const;
  const fleet = await startJoiningFleet(context, target, coordination);
  const admitted = new Recorder<string>(90_000);
  const removed = new Recorder<string>(90_000);
  let runsForMs = 0;
  const sickIndex = Math.ceil(joins / 2);
  const start = async (name: (typeof names)[number], index: number): Promise<LoadAgent> => {
    const agent = await fleet.join(from + index);
    if (index === sickIndex) agent.kernel.fails = () => true;
    let [isAdmitted, wasReady] = [false, false];
    const isReady = (): boolean => {
      const view = agent.inspect();
      if (!isAdmitted && (view?.state.context ?? null) !== null) {
        isAdmitted = true;
        admitted.listener(name);
      }
      wasReady = agentReadiness(view, ready, runsForMs).ok;
      return wasReady;
    };
    const write = (_level: string, message: string, fields: LogFields): void => {
      assert.ok(wasReady, "and only then");
      removed.listener(`${message} ${fields["why"] ?? name}`);
    };
    const removal = { node: name, taint: startup, isReady, log: { write } };
    const stop = startTaintRemoval(clientOf(server, namespace), removal);
    context.after(stop);
    return agent;
  };
  // A node that knows no other lacks nothing, however sick it is.
  await start(names[0] ?? nodeNameOf(from), 0);
  await removed.until(() => removed.events.length === 1);
  const joined = await Promise.all(names.slice(1).map((name, index) => start(name, index + 1)));
  await admitted.until(() => admitted.events.length === names.length);
  if (timesOut) runsForMs = ready.timeoutMs;
  await removed.until(() => removed.events.length === joins);
  const sick = names[sickIndex] ?? "";
  const taints = await taintsOf(client);
  for (const name of names) {
    const keys = taints.get(name) ?? [];
    assert.ok(keys.includes(foreign.key), `${name} keeps what is not ours`);
    assert.equal(keys.includes(startup), name === sick, `${name} has ${keys.join(", ")}`);
  }
  const cured = joined[sickIndex - 1];
  assert.ok(cured !== undefined);
  cured.kernel.fails = () => false;
  await removed.first((line) => line.endsWith(sick));
  assert.ok(removed.events.every((line) => line.startsWith("start-up taint removed")), removed.events.join("; "));
}
