/** The contract of the registry of VPN links on a real API server; each clause has a namespace of its own. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fixtureLink, recordOf } from "../../src/core/gateway/fixtures.js";
import { gatewaysOver } from "../../src/adapters/registry/kubernetes/open.js";
import { installDefinitions } from "../../src/lab/servers/kubernetes-definitions.js";
import { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import type { GatewayRegistryPort, StoredLink } from "../../src/ports/gateway-registry.js";
import type { SiteReport } from "../../src/core/gateway/report.js";
import type { WatchEvent } from "../../src/ports/registry.js";
import { renderChart } from "../support/chart.js";
import { clientOf, makeNamespace, skipWithoutKubernetes } from "../support/kubernetes.js";
import { failsWith, Recorder, succeeds } from "./recorder.js";
import { gatewayRegistryContract } from "./gateway-registry.js";

let server: KubernetesServer;
let namespaces = 0;

if (skipWithoutKubernetes === false) {
  before(async () => {
    server = await KubernetesServer.start(["hub", "site", "olive"].map((user) => ({ user, groups: [] })));
    const client = clientOf(server, "default");
    await installDefinitions(client);
    client.close();
  });
  after(() => server.stop());
}

async function freshNamespace(): Promise<string> {
  namespaces += 1;
  const name = `links-${namespaces}`;
  const client = clientOf(server, "default");
  await makeNamespace(client, name);
  client.close();
  return name;
}

const open: Parameters<typeof gatewayRegistryContract>[1] = async () => {
  const namespace = await freshNamespace();
  return { connect: () => gatewaysOver(clientOf(server, namespace), () => undefined), close: () => Promise.resolve() };
};

gatewayRegistryContract("kubernetes", open, skipWithoutKubernetes);

const record = recordOf([]);
const { name, server: site } = fixtureLink;
const route = { kind: "unknown" } as const;
const report: SiteReport = { schemaVersion: 1, link: name, site, beat: 1, detached: false, ahead: record, gateways: [], route, pairs: [] };

test("gateway registry/kubernetes: a hub that died half way through a removal leaves what the next try takes away", { skip: skipWithoutKubernetes }, async () => {
  const namespace = await freshNamespace();
  const client = clientOf(server, namespace);
  const registry = gatewaysOver(clientOf(server, namespace), () => undefined);
  const version = await succeeds<number>((done) => registry.writeLink(record, 0, done));
  await succeeds((done) => registry.publishSiteReport(report, done));
  const objects = `/apis/spindle.dev/v1alpha1/namespaces/${namespace}`;
  assert.equal(await client.remove(`${objects}/spindlelinks/${name}`), "removed");
  await succeeds((done) => registry.removeLink(record, version, done));
  assert.equal((await client.send({ method: "GET", path: `${objects}/spindlelinkreports/${name}.${site}` })).kind, "absent");
  registry.close();
  client.close();
});

test("gateway registry/kubernetes: hub, site and operator have the rights that they need, and a site no more", { skip: skipWithoutKubernetes }, async () => {
  const namespace = await freshNamespace();
  await grant(namespace);
  const as = (user: string): GatewayRegistryPort => gatewaysOver(clientOf(server, namespace, server.port, user), () => undefined);
  const [hub, atSite, people] = [as("hub"), as("site"), as("olive")];
  const version = await succeeds<number>((done) => hub.writeLink(record, 0, done));
  const own = new Recorder<WatchEvent<StoredLink>>();
  atSite.watchLinks(site, own.listener);
  await own.first((event) => event.kind === "listing" && event.items.length === 1);
  for (const beat of [1, 2]) await succeeds((done) => atSite.publishSiteReport({ ...report, beat }, done));
  const request = { schemaVersion: 1, id: "x", link: name, why: "a test", by: "olive", at: "" } as const;
  await succeeds((done) => people.putLinkRequest(request, done));
  const told = new Recorder<WatchEvent<SiteReport>>();
  hub.watchSiteReports(told.listener);
  await told.first((event) => event.kind === "listing" && event.items[0]?.beat === 2);
  assert.equal(await failsWith<number>((done) => atSite.writeLink({ ...record, lastNumber: 9 }, version, done)), "REGISTRY_FORBIDDEN");
  assert.equal(await failsWith<number>((done) => people.writeLink({ ...record, lastNumber: 9 }, version, done)), "REGISTRY_FORBIDDEN");
  await succeeds((done) => hub.removeLink(record, version, done));
  for (const one of [hub, atSite, people]) one.close();
});

/** As the chart gives the rights, bound to users of the test. */
async function grant(namespace: string): Promise<void> {
  const client = clientOf(server, namespace);
  const apiGroup = "rbac.authorization.k8s.io";
  const path = (plural: string): string => `/apis/${apiGroup}/v1/namespaces/${namespace}/${plural}`;
  const users = { "spindle-gateway-hub": "hub", "spindle-gateway-site": "site", "spindle-operator": "olive" };
  for (const [role, user] of Object.entries(users)) {
    const manifest = renderChart(namespace, {}).find(({ kind, metadata }) => kind === "Role" && metadata.name === role);
    assert.ok(manifest !== undefined, role);
    const binding = { apiVersion: `${apiGroup}/v1`, kind: "RoleBinding", metadata: { name: role, namespace } };
    const subjects = [{ apiGroup, kind: "User", name: user }];
    await client.send({ method: "POST", path: path("roles"), body: manifest });
    await client.send({ method: "POST", path: path("rolebindings"), body: { ...binding, roleRef: { apiGroup, kind: "Role", name: role }, subjects } });
  }
  client.close();
}
