/** The start-up taint on a real API server: scale-ups with a sick node in them, and who else changes taints. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { nodePath } from "../../src/adapters/registry/kubernetes/kube-object.js";
import { removeStartupTaint } from "../../src/adapters/registry/kubernetes/startup-taint.js";
import { nodeName } from "../contract/registry-records.js";
import { clientOf, skipWithoutKubernetes, startSharedServer } from "../support/kubernetes.js";
import { foreign, makeNode, scaleUp, startup, taintsOf } from "../support/scale-up.js";

const options = { skip: skipWithoutKubernetes, timeout: 180_000 };
const server = await startSharedServer();
after(() => server?.stop());

test("start-up taint: many nodes join at once, a sick one holds nobody beyond the time-out", options, async (context) => {
  assert.ok(server !== null);
  await scaleUp(context, server, { namespace: "large", from: 0, joins: 40, coordination: "barrier", timesOut: true });
});

test("start-up taint: 95 % of the pairs are enough, without a time-out", options, async (context) => {
  assert.ok(server !== null);
  await scaleUp(context, server, { namespace: "small", from: 1_000, joins: 25, coordination: "pairwise", timesOut: false });
});

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
