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

const onKubernetes = [...controllerLines, "registry: { kind: kubernetes, kubernetes: {} }"];

test("config: a controller that makes the next key is told where it goes, and how old one may become", async () => {
  const short = await loadController([...onKubernetes, "rotation: { generate: { secret: fleet-keys }, every: 30d }"]);
  const { generate, everyMs } = short.config.rotation;
  assert.deepEqual(generate, { secret: "fleet-keys", file: "keys", namespace: null });
  assert.equal(everyMs, 30 * 24 * 3_600_000);
  const section = "rotation: { generate: { secret: fleet-keys, file: f, namespace: n } }";
  const whole = (await loadController([...onKubernetes, section])).config.rotation;
  assert.deepEqual([whole.generate, whole.everyMs], [{ secret: "fleet-keys", file: "f", namespace: "n" }, null]);
});

const generateFaults: readonly (readonly [string, string, RegExp])[] = [
  ["no Secret's name", "rotation: { generate: { secret: A_b } }", /generate\.secret must be the name of a Secret/],
  ["a path for a file", "rotation: { generate: { secret: s, file: ../f } }", /generate\.file must be the name of a file/],
  ["the folder itself", "rotation: { generate: { secret: s, file: .. } }", /generate\.file must be the name of a file/],
  ["a schedule that is too tight", "rotation: { generate: { secret: s }, every: 5m }", /every must be longer than rotation\.duration \(5m\)/],
  ["nobody to ask", "rotation: { generate: { secret: s } }\ncoordination: pairwise", /generate needs coordination barrier/],
];

for (const [name, lines, message] of generateFaults) {
  test(`config: a controller that makes the next key, with ${name}`, async () => {
    const fault = await faultIn(loadController([...onKubernetes, lines]));
    assert.match(fault.details.join("\n"), message);
  });
}

test("config: a pairwise fleet on Kubernetes needs its controller, to admit nodes", async () => {
  const line = "registry: { kind: kubernetes, kubernetes: {} }";
  const { warnings } = await loadController([...controllerLines, "coordination: pairwise", line]);
  assert.deepEqual(warnings, []);
});
