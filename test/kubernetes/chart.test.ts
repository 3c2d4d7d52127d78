/** The Helm chart: its manifests on a real API server, its configurations, and its rights. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, test } from "node:test";
import { parse } from "yaml";
import { z } from "zod";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { Departures } from "../../src/adapters/registry/kubernetes/departures.js";
import { resourcePath } from "../../src/adapters/registry/kubernetes/kube-object.js";
import { NodeLeases } from "../../src/adapters/registry/kubernetes/node-leases.js";
import { removeStartupTaint } from "../../src/adapters/registry/kubernetes/startup-taint.js";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import { loadAgentConfig, loadControllerConfig } from "../../src/cli/config/load.js";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../src/ports/registry.js";
import { eventually, failsWith, Recorder, succeeds } from "../contract/recorder.js";
import {
  admission,
  fleetRecord,
  incarnation,
  nodeName,
  operatorRequest,
  reportOf,
  rotationRecord,
} from "../contract/registry-records.js";
import { chartFolder, defaultValues, renderChart, type Manifest } from "../support/chart.js";
import {
  clientOf,
  makeNamespace,
  skipWithoutKubernetes,
  startSharedServer,
} from "../support/kubernetes.js";
import { root } from "../support/repository.js";

const options = { skip: skipWithoutKubernetes, timeout: 120_000 };
const namespace = "spindle-system";
const accounts = ["spindle-agent", "spindle-controller"].map((name) => ({
  user: `system:serviceaccount:${namespace}:${name}`,
  groups: ["system:serviceaccounts"],
}));
const operator = { user: "olive", groups: [] };

const server = await startSharedServer([...accounts, operator]);
after(() => server?.stop());
if (server !== null) {
  const client = clientOf(server, namespace);
  await makeNamespace(client, namespace);
  client.close();
}

const paths: Readonly<Record<string, string>> = {
  ServiceAccount: "/api/v1/namespaces/NS/serviceaccounts",
  ConfigMap: "/api/v1/namespaces/NS/configmaps",
  DaemonSet: "/apis/apps/v1/namespaces/NS/daemonsets",
  Deployment: "/apis/apps/v1/namespaces/NS/deployments",
  Role: "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/roles",
  RoleBinding: "/apis/rbac.authorization.k8s.io/v1/namespaces/NS/rolebindings",
  ClusterRole: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
  ClusterRoleBinding: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
};

function post(client: ApiClient, body: Manifest, query: Readonly<Record<string, string>> = {}) {
  const path = paths[body.kind]?.replace("NS", namespace);
  assert.ok(path !== undefined, `a path for ${body.kind}`);
  return client.fetch({ method: "POST", path, body, query });
}

test("chart: the API server takes every manifest, in both coordinations", options, async () => {
  assert.ok(server !== null);
  const client = clientOf(server, namespace);
  for (const coordination of ["barrier", "pairwise"]) {
    const manifests = renderChart(namespace, { coordination, agent: { startupTaint: "spindle.dev/agent-not-ready" } });
    assert.equal(manifests.length, 17);
    for (const manifest of manifests) {
      const answer = await post(client, manifest, { dryRun: "All" });
      assert.equal(answer.status, 201, manifest.metadata.name);
      assert.deepEqual(dropped(manifest, answer.body), [], manifest.metadata.name);
    }
  }
  client.close();
});

test("chart: a misspelt field would be noticed, and a bad value refused", options, async () => {
  assert.ok(server !== null);
  const client = clientOf(server, namespace);
  const text = JSON.stringify(renderChart(namespace).find(({ kind }) => kind === "DaemonSet"));
  const misspelt = JSON.parse(text.replace('"hostNetwork"', '"hostNetwrok"')) as Manifest;
  const answer = await post(client, misspelt, { dryRun: "All" });
  assert.deepEqual(dropped(misspelt, answer.body), [".spec.template.spec.hostNetwrok"]);
  const broken = JSON.parse(text.replace('"NET_ADMIN"', "7")) as Manifest;
  await assert.rejects(post(client, broken, { dryRun: "All" }), { code: "REGISTRY_RECORD_INVALID" });
  client.close();
});

/** A server of this version drops fields that it does not know. @returns their paths */
function dropped(sent: unknown, kept: unknown, path = ""): readonly string[] {
  if (typeof sent !== "object" || sent === null) return kept === undefined ? [path] : [];
  if (typeof kept !== "object" || kept === null) return [path];
  return Object.entries(sent).flatMap(([name, value]) =>
    dropped(value, (kept as Readonly<Record<string, unknown>>)[name], `${path}.${name}`),
  );
}

test("chart: the configurations are right, and the operators' values reach them", async () => {
  const folder = mkdtempSync(join(tmpdir(), "spindle-chart-"));
  const environment = { NODE_NAME: "node-1", HOST_IP: "192.0.2.1", POD_NAME: "controller-a" };
  Object.assign(process.env, environment);
  try {
    const manifests = renderChart(namespace, {
      encryption: {
        ipsec: {
          keyRotationDuration: "20m",
          jitterMaxDuration: "3m",
          enableJitter: true,
          mountPath: "/keys",
          keyFile: "fleet",
          secretName: "other",
          encapsulation: "udp",
        },
      },
      log: { level: "debug" },
      agent: { startupTaint: "example.com/starting" },
    });
    const agent = (await loadAgentConfig(written(manifests, "agent", folder))).config;
    assert.deepEqual([agent.node.name, agent.node.addresses.ipv4], ["node-1", "192.0.2.1"]);
    assert.equal(agent.keyFile.path, "/keys/fleet");
    assert.deepEqual([agent.jitter.maxMs, agent.jitter.enabled], [180_000, true]);
    assert.equal(agent.ready.taint, "example.com/starting");
    const { config } = await loadControllerConfig(written(manifests, "controller", folder));
    assert.equal(config.name, "controller-a");
    assert.equal(config.registry.role === "connect" && config.registry.target.kind, "kubernetes");
    assert.match(JSON.stringify(manifests), /"secretName":"other"/);
    const plain = renderChart(namespace, { encryption: { ipsec: { enableJitter: false } } });
    const off = (await loadAgentConfig(written(plain, "agent", folder))).config;
    assert.equal(off.jitter.enabled, false);
  } finally {
    for (const name of Object.keys(environment)) Reflect.deleteProperty(process.env, name);
    rmSync(folder, { recursive: true });
  }
});

function written(manifests: readonly Manifest[], program: string, folder: string): string {
  const found = manifests.find(
    ({ kind, metadata }) => kind === "ConfigMap" && metadata.name === `spindle-${program}`,
  );
  const path = join(folder, `${program}.yaml`);
  writeFileSync(path, found?.data?.[`${program}.yaml`] ?? "");
  return path;
}

test("chart: its schema has every value of values.yaml and no other", () => {
  const text = readFileSync(join(chartFolder, "values.schema.json"), "utf8");
  const { global: _global, ...described } = leavesOf(JSON.parse(text)) as { global?: unknown };
  assert.deepEqual(sorted(described), sorted(defaultValues()));
});

/** As `helm install` and `helm lint` check them. */
const valuesSchema = z.fromJSONSchema(
  JSON.parse(readFileSync(join(chartFolder, "values.schema.json"), "utf8")) as Parameters<typeof z.fromJSONSchema>[0],
);

const badValues: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
  ["an unknown value", { encryption: { ipsec: { keyRotationPeriod: "5m" } } }],
  ["a number for a duration", { encryption: { ipsec: { keyRotationDuration: 5 } } }],
  ["a duration without its unit", { encryption: { ipsec: { jitterMaxDuration: "5" } } }],
  ["an interface", { encryption: { ipsec: { interface: "eth0" } } }],
  ["a relative path", { encryption: { ipsec: { mountPath: "keys" } } }],
  ["no controller", { controller: { replicas: 0 } }],
  ["a schedule for keys that nobody makes", { rotation: { generate: false, every: "30d" } }],
  ["a schedule without its unit", { rotation: { generate: true, every: "30" } }],
  ["a taint with its effect", { agent: { startupTaint: "spindle.dev/agent-not-ready:NoSchedule" } }],
  ["another level of logs", { log: { level: "verbose" } }],
];

test("chart: its schema takes the defaults and the operators' names, and refuses what would have no effect", () => {
  assert.ok(valuesSchema.safeParse(defaultValues()).success);
  const known = { keyRotationDuration: "20m", jitterMaxDuration: "3m", enableJitter: false, secretName: "s", mountPath: "/k", keyFile: "f", interface: "" };
  assert.ok(valuesSchema.safeParse({ encryption: { ipsec: known } }).success);
  for (const rotation of [{ generate: true, every: "30d" }, { generate: true, every: "" }, { generate: false, every: "" }]) {
    assert.ok(valuesSchema.safeParse({ rotation }).success);
  }
  for (const [what, values] of badValues) assert.equal(valuesSchema.safeParse(values).success, false, what);
});

test("chart: it has what Helm wants of a chart", () => {
  const chart = parse(readFileSync(join(chartFolder, "Chart.yaml"), "utf8")) as Readonly<Record<string, string>>;
  assert.deepEqual([chart["apiVersion"], chart["name"], chart["type"]], ["v2", basename(chartFolder), "application"]);
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  assert.deepEqual([chart["version"], chart["appVersion"]], [version, version]);
  for (const manifest of renderChart(namespace)) {
    assert.match(manifest.metadata.name, /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/);
    const isWide = manifest.kind.startsWith("Cluster");
    assert.equal(manifest.metadata.namespace, isWide ? undefined : namespace, manifest.metadata.name);
  }
});

/** The schema as nested names; a leaf is null. */
function leavesOf(schema: unknown): unknown {
  const { properties } = schema as { properties?: Readonly<Record<string, unknown>> };
  if (properties === undefined) return null;
  return Object.fromEntries(
    Object.entries(properties).map(([name, one]) => [name, leavesOf(one)]),
  );
}

/** Names alone: requests and limits are the container's own. */
function sorted(value: unknown, name = ""): readonly string[] {
  if (typeof value !== "object" || value === null || name.endsWith("resources")) return [name];
  return Object.entries(value)
    .flatMap(([key, one]) => sorted(one, `${name}.${key}`))
    .sort();
}

test("chart: each program has the rights it needs, and an agent no more", options, async () => {
  assert.ok(server !== null);
  const administrator = clientOf(server, namespace);
  const manifests = renderChart(namespace, { coordination: "pairwise", agent: { startupTaint: "spindle.dev/agent-not-ready" } });
  for (const manifest of manifests.filter(({ kind }) => /Role(Binding)?$/.test(kind))) {
    await post(administrator, manifest);
  }
  await post(administrator, bindingOf(operator.user));
  const refused: string[] = [];
  const open = (user: string): RegistryPort =>
    registryOver(clientOf(server, namespace, server.port, user), {
      skipped: () => undefined,
      log: { write: (_level, message, fields) => refused.push(`${message} ${fields["why"]}`) },
    });
  const agent = open(accounts[0]?.user ?? "");
  const controller = open(accounts[1]?.user ?? "");
  const people = open(operator.user);
  try {
    const leading = new Recorder<boolean>();
    const stop = controller.campaign("one", 60_000, leading.listener);
    await leading.first((leads) => leads);
    const entry = await succeeds<RosterEntry>((done) => agent.register(admission("a"), done));
    await asAgent(agent, entry);
    await asController(controller);
    await asOperator(people);
    stop();
    const version = (done: Parameters<RegistryPort["writeFleet"]>[2]): void =>
      agent.writeFleet(fleetRecord(2), 1, done);
    assert.equal(await failsWith(version), "REGISTRY_FORBIDDEN");
    await assertCannotTouchRoster(accounts[0]?.user ?? "");
    await assertSeesDepartures(accounts[1]?.user ?? "");
    await assertOnlyPatchesNodes(administrator, accounts[0]?.user ?? "");
    assert.deepEqual(refused, [], "the leader lacked nothing");
  } finally {
    for (const registry of [agent, controller, people]) registry.close();
    administrator.close();
  }
});

async function asAgent(agent: RegistryPort, entry: RosterEntry): Promise<void> {
  const roster = new Recorder<WatchEvent<RosterEntry>>();
  agent.watchRoster(roster.listener);
  await roster.first(({ kind }) => kind === "listing");
  const fleet = new Recorder<SingleEvent<FleetRecord>>();
  agent.watchFleet(fleet.listener);
  await fleet.first(({ kind }) => kind === "value");
  const reports = new Recorder<WatchEvent<unknown>>();
  agent.watchReports(reports.listener);
  await reports.first(({ kind }) => kind === "listing");
  await succeeds<null>((done) => agent.publishReport(reportOf(entry, entry.revision, 1), done));
  await succeeds<null>((done) => agent.renewLease(entry.name, incarnation(1), 9_000, done));
}

async function asController(controller: RegistryPort): Promise<void> {
  await succeeds<number>((done) => controller.writeFleet(fleetRecord(1), 0, done));
  await succeeds<null>((done) => controller.putRotation(rotationRecord(1), done));
  await succeeds<null>((done) => controller.clearRequest("none", done));
  await succeeds((done) => controller.listLeases(done));
  await succeeds((done) => controller.listRotations(done));
}

async function asOperator(people: RegistryPort): Promise<void> {
  await succeeds<null>((done) => people.putRequest(operatorRequest("one"), done));
  await succeeds<null>((done) => people.clearRequest("one", done));
  await succeeds((done) => people.listLeases(done));
  await succeeds<number>((done) => people.remove(nodeName("a"), done));
  await eventually(async () => (await succeeds((done) => people.listRotations(done)), true));
}

async function assertCannotTouchRoster(user: string): Promise<void> {
  assert.ok(server !== null);
  const client = clientOf(server, namespace, server.port, user);
  const path = `${resourcePath(namespace, "spindlenodes")}/a`;
  await assert.rejects(client.remove(path), { code: "REGISTRY_FORBIDDEN" });
  const patch = { method: "PATCH", path, body: { spec: { revision: 9 } } } as const;
  await assert.rejects(client.send(patch), { code: "REGISTRY_FORBIDDEN" });
  const secrets = { method: "GET", path: `/api/v1/namespaces/${namespace}/secrets` } as const;
  await assert.rejects(client.send(secrets), { code: "REGISTRY_FORBIDDEN" });
  client.close();
}

async function assertSeesDepartures(user: string): Promise<void> {
  assert.ok(server !== null);
  const client = clientOf(server, namespace, server.port, user);
  const leases = new NodeLeases(client);
  const departures = new Departures(client, leases, { write: () => undefined });
  for (let look = 1; look <= 2; look++) await departures.sweep(new Map([["departed", undefined]]), true);
  await leases.forget("departed");
  client.close();
}

async function assertOnlyPatchesNodes(administrator: ApiClient, user: string): Promise<void> {
  assert.ok(server !== null);
  const client = clientOf(server, namespace, server.port, user);
  const taint = "spindle.dev/agent-not-ready";
  const spec = { taints: [{ key: taint, effect: "NoSchedule" }] };
  const body = { apiVersion: "v1", kind: "Node", metadata: { name: "a" }, spec };
  await administrator.send({ method: "POST", path: "/api/v1/nodes", body });
  assert.equal(await removeStartupTaint(client, nodeName("a"), taint), "removed");
  for (const path of ["/api/v1/nodes", "/api/v1/nodes/a"]) {
    await assert.rejects(client.fetch({ method: "GET", path }), { code: "REGISTRY_FORBIDDEN" });
  }
  const status = { method: "PATCH", path: "/api/v1/nodes/a/status", body: {} } as const;
  await assert.rejects(client.send(status), { code: "REGISTRY_FORBIDDEN" });
  client.close();
}

test("chart: a controller that makes keys is told where they go, and alone may touch that Secret", async () => {
  const folder = mkdtempSync(join(tmpdir(), "spindle-chart-"));
  process.env["POD_NAME"] = "controller-a";
  try {
    const ipsec = { secretName: "fleet-keys", keyFile: "fleet", keyRotationDuration: "20m" };
    const manifests = renderChart(namespace, { encryption: { ipsec }, rotation: { generate: true, every: "30d" } });
    const { rotation } = (await loadControllerConfig(written(manifests, "controller", folder))).config;
    assert.deepEqual(rotation.generate, { secret: "fleet-keys", file: "fleet", namespace: null });
    assert.deepEqual([rotation.everyMs, rotation.durationMs], [30 * 24 * 3_600_000, 20 * 60_000]);
    assert.deepEqual(secretRules(manifests), { "spindle-controller": [{ apiGroups: [""], resources: ["secrets"], resourceNames: ["fleet-keys"], verbs: ["get", "patch"] }] });
    assert.deepEqual(Object.keys(secretRules(renderChart(namespace))), ["spindle-operator"], "by default people write it");
  } finally {
    Reflect.deleteProperty(process.env, "POD_NAME");
    rmSync(folder, { recursive: true });
  }
});

interface Rule {
  readonly resources: readonly string[];
}

/** By role: the rules that name Secrets, or everything. */
function secretRules(manifests: readonly Manifest[]): Readonly<Record<string, readonly Rule[]>> {
  const found = manifests.flatMap((manifest): readonly (readonly [string, readonly Rule[]])[] => {
    const { rules = [] } = manifest as Manifest & { readonly rules?: readonly Rule[] };
    const named = rules.filter(({ resources }) => resources.some((name) => ["secrets", "*"].includes(name)));
    return named.length === 0 ? [] : [[manifest.metadata.name, named]];
  });
  return Object.fromEntries(found);
}

test("chart: without a start-up taint agents have no rights outside their namespace", () => {
  const manifests = renderChart(namespace);
  const wide = manifests.filter(({ kind }) => kind.startsWith("Cluster")).map(({ metadata }) => metadata.name);
  assert.deepEqual(wide, Array(2).fill(`spindle-controller-${namespace}`));
  assert.doesNotMatch(JSON.stringify(manifests), /not-ready|tolerations":\[\{"key/);
});

function bindingOf(user: string): Manifest {
  const apiGroup = "rbac.authorization.k8s.io";
  return {
    apiVersion: `${apiGroup}/v1`,
    kind: "RoleBinding",
    metadata: { name: "people", namespace },
    ...{ roleRef: { apiGroup, kind: "Role", name: "spindle-operator" } },
    ...{ subjects: [{ apiGroup, kind: "User", name: user }] },
  };
}
