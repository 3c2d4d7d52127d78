import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  agentLines,
  controllerLines,
  faultIn,
  folder,
  loadAgent,
  loadController,
} from "../../../test/support/config-file.js";

function agentWith(section: string): readonly string[] {
  return agentLines.with(3, `registry: { kind: kubernetes${section === "" ? "" : ", "}${section} }`);
}

test("config: a registry on Kubernetes, in a pod and from outside", async () => {
  const inside = await loadAgent(agentWith("kubernetes: {}"));
  assert.deepEqual(inside.warnings, []);
  const target = { kind: "kubernetes", kubeconfig: null, context: null, namespace: null };
  assert.deepEqual(inside.config.registry, target);
  const section = "kubernetes: { kubeconfig: k, context: c, namespace: n }";
  const outside = { kind: "kubernetes", kubeconfig: join(folder, "k"), context: "c", namespace: "n" };
  assert.deepEqual((await loadAgent(agentWith(section))).config.registry, outside);
  const line = `registry: { kind: kubernetes, ${section} }`;
  const controller = await loadController([...controllerLines, line]);
  assert.deepEqual(controller.config.registry, { role: "connect", target: { ...outside, followNodes: false } });
  const follows = await loadController([...controllerLines, line.replace("namespace: n", "followNodes: true")]);
  assert.match(JSON.stringify(follows.config.registry), /"followNodes":true/);
});

test("config: on Kubernetes a lease is longer, unless the file says how long", async () => {
  const inside = await loadAgent(agentWith("kubernetes: {}"));
  assert.deepEqual(inside.config.lease, { durationMs: 24_000 });
  const shorter = await loadAgent([...agentWith("kubernetes: {}"), "lease: { duration: 6s }"]);
  assert.deepEqual(shorter.config.lease, { durationMs: 6_000 });
});

const faults: readonly (readonly [string, string, RegExp])[] = [
  ["no section", "", /registry\.kubernetes is missing: registry\.kind is kubernetes$/],
  ["a context of nothing", "kubernetes: { context: c }", /context has no effect without kubeconfig$/],
  ["no namespace's name", "kubernetes: { namespace: A_b }", /namespace must be the name of/],
  ["an agent that follows Nodes", "kubernetes: { followNodes: true }", /followNodes is no field here/],
  ["a socket besides", "kubernetes: {}, socket: s", /registry\.socket does not go with/],
  ["etcd besides", "kubernetes: {}, etcd: { endpoints: ['http://127.0.0.1:1'] }", /registry\.etcd does/],
];

for (const [name, section, message] of faults) {
  test(`config: a registry on Kubernetes with ${name}`, async () => {
    const fault = await faultIn(loadAgent(agentWith(section)));
    assert.match(fault.details.join("\n"), message);
  });
}

test("config: a pairwise fleet on Kubernetes needs its controller, to admit nodes", async () => {
  const line = "registry: { kind: kubernetes, kubernetes: {} }";
  const { warnings } = await loadController([...controllerLines, "coordination: pairwise", line]);
  assert.deepEqual(warnings, []);
});
