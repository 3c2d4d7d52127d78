/** The start-up taint on a real API server: a scale-up with a sick node in it, and who else changes taints. */
import assert from "node:assert/strict";
import { after, test, type TestContext } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { nodePath } from "../../src/adapters/registry/kubernetes/kube-object.js";
import { listObjects } from "../../src/adapters/registry/kubernetes/list-objects.js";
import { removeStartupTaint } from "../../src/adapters/registry/kubernetes/startup-taint.js";
import { agentReadiness } from "../../src/cli/daemon/agent-status.js";
import { startTaintRemoval } from "../../src/cli/daemon/startup-taint.js";
import { nodeNameOf, type LoadAgent } from "../../src/cli/loadtest/agent.js";
import type { LogFields } from "../../src/ports/log.js";
import { Recorder } from "../contract/recorder.js";
import { nodeName } from "../contract/registry-records.js";
import {
  clientOf,
  makeNamespace,
  skipWithoutKubernetes,
  startSharedServer,
} from "../support/kubernetes.js";
import { startJoiningFleet } from "../support/joining-fleet.js";

const options = { skip: skipWithoutKubernetes, timeout: 180_000 };
const server = await startSharedServer();
after(() => server?.stop());
const startup = "spindle.dev/agent-not-ready";
const ready = { share: 0.95, timeoutMs: 60_000, taint: startup };
const ours = ["NoSchedule", "NoExecute"].map((effect) => ({ key: startup, effect }));
const foreign = { key: "example.com/maintenance", value: "tonight", effect: "NoSchedule" };

async function makeNode(client: ApiClient, name: string): Promise<void> {
  const [first, second] = ours;
  const spec = { taints: [first, foreign, second] };
  const body = { apiVersion: "v1", kind: "Node", metadata: { name }, spec };
  const made = await client.send({ method: "POST", path: "/api/v1/nodes", body });
  assert.equal(made.kind, "object");
}

/** Keys of taints by node; the server adds one of its own to a new Node. */
async function taintsOf(client: ApiClient): Promise<ReadonlyMap<string, readonly string[]>> {
  const { objects } = await listObjects(client, "/api/v1/nodes");
  return new Map(
    objects.map(({ metadata, spec }) => {
      const { taints = [] } = spec as { taints?: { key: string }[] };
      return [metadata.name, taints.map(({ key }) => key)];
    }),
  );
}

interface ScaleUp {
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
async function scaleUp(context: TestContext, { namespace, from, joins, coordination, timesOut }: ScaleUp): Promise<void> {
  assert.ok(server !== null);
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

test("start-up taint: 200 nodes join at once, a sick one holds nobody beyond the time-out", options, (context) =>
  scaleUp(context, { namespace: "large", from: 0, joins: 200, coordination: "barrier", timesOut: true }),
);

test("start-up taint: 95 % of the pairs are enough, without a time-out", options, (context) =>
  scaleUp(context, { namespace: "small", from: 1_000, joins: 25, coordination: "pairwise", timesOut: false }),
);

test("start-up taint: a change by another between reading and removing is kept, and ours is tried again", options, async (context) => {
  assert.ok(server !== null);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  await makeNode(client, "a");
  const late = new Proxy(client, {
    get: (target, name) => {
      if (name !== "send") return Reflect.get(target, name, target) as unknown;
      return async (request: Parameters<ApiClient["send"]>[0]) => {
        const value = { key: "example.com/other", effect: "NoSchedule" };
        const insert = [{ op: "add", path: "/spec/taints/0", value }];
        const isRemoval = Array.isArray(request.body);
        if (isRemoval) await target.send({ method: "PATCH", path: nodePath("a"), body: insert });
        return target.send(request);
      };
    },
  });
  await assert.rejects(removeStartupTaint(late, nodeName("a"), startup), { code: "REGISTRY_CONFLICT" });
  assert.equal(await removeStartupTaint(client, nodeName("a"), startup), "removed");
  const keys = (await taintsOf(client)).get("a") ?? [];
  assert.deepEqual(keys.slice(0, 2), ["example.com/other", foreign.key]);
  assert.ok(!keys.includes(startup));
  assert.equal(await removeStartupTaint(client, nodeName("a"), startup), "absent", "a restarted agent finds none");
  await assert.rejects(removeStartupTaint(client, nodeName("b"), startup), { code: "KUBERNETES_NODE_UNKNOWN" });
});
