/**
 * Writes of VPN links. Compare-and-set is the API server's own. Reports and requests belong to their link's object (owner
 * reference), so that the cluster takes away what a hub that died half way through a removal left.
 */
import type { LinkName } from "../../../core/gateway/link.js";
import type { LinkRecord, LinkRequest } from "../../../core/gateway/record.js";
import type { SiteReport } from "../../../core/gateway/report.js";
import { gatewayPrefixes } from "../gateway-keys.js";
import { linkConflict, linkMissing, type GatewayWrites } from "../gateway-registry.js";
import { linkRecordSchema, linkRequestSchema, siteReportSchema } from "../gateway-schemas.js";
import { encode } from "../records.js";
import type { ApiAnswer, ApiClient } from "./api-client.js";
import { reportObjectName, siteLabel } from "./gateway-collections.js";
import { apiVersion, resourcePath, versionOf, type Resource } from "./kube-object.js";
import { notInstalled } from "./list-objects.js";
import type { Kind } from "./object-schemas.js";

export function gatewayWritesOver(client: ApiClient): GatewayWrites {
  return {
    writeLink: (record, expectedVersion) => writeLink(client, record, expectedVersion),
    removeLink: (record, expectedVersion) => removeLink(client, record, expectedVersion),
    publishReport: (report) => publishReport(client, report),
    putRequest: (request) => putRequest(client, request),
  };
}

async function writeLink(client: ApiClient, record: LinkRecord, expectedVersion: number): Promise<number> {
  const { name, server, client: dialling } = record.link;
  encode(linkRecordSchema, gatewayPrefixes.links + name, record);
  const labels = { [siteLabel(server)]: "", [siteLabel(dialling)]: "" };
  const version = expectedVersion === 0 ? {} : { resourceVersion: String(expectedVersion) };
  const body = { apiVersion, kind: "SpindleLink" satisfies Kind, metadata: { name, labels, ...version }, spec: record };
  const path = resourcePath(client.namespace, "spindlelinks");
  const answer = await client.send(expectedVersion === 0 ? { method: "POST", path, body } : { method: "PUT", path: `${path}/${name}`, body });
  if (answer.kind === "object") return versionOf(answer.object.metadata.resourceVersion);
  if (answer.kind === "absent" && expectedVersion === 0) throw notInstalled(path);
  throw linkConflict(record, expectedVersion);
}

/** The link first: from then on nothing is put beside it. What follows is done also when an earlier try stopped there. */
async function removeLink(client: ApiClient, record: LinkRecord, expectedVersion: number): Promise<null> {
  const { name, server, client: dialling } = record.link;
  const place = (resource: Resource, object: string): string => `${resourcePath(client.namespace, resource)}/${object}`;
  const removed = await client.remove(place("spindlelinks", name), String(expectedVersion));
  if (removed === "conflict") throw linkConflict(record, expectedVersion);
  for (const site of [server, dialling]) await client.remove(place("spindlelinkreports", reportObjectName(name, site)));
  await client.remove(place("spindlelinkrequests", name));
  return null;
}

async function publishReport(client: ApiClient, report: SiteReport): Promise<null> {
  const name = reportObjectName(report.link, report.site);
  encode(siteReportSchema, `${gatewayPrefixes.reports}${report.link}/${report.site}`, report);
  return putBesideLink(client, report.link, { resource: "spindlelinkreports", kind: "SpindleLinkReport", name, spec: report });
}

async function putRequest(client: ApiClient, request: LinkRequest): Promise<null> {
  encode(linkRequestSchema, gatewayPrefixes.requests + request.link, request);
  return putBesideLink(client, request.link, { resource: "spindlelinkrequests", kind: "SpindleLinkRequest", name: request.link, spec: request });
}

interface Beside {
  readonly resource: Resource;
  readonly kind: Kind;
  readonly name: string;
  readonly spec: unknown;
}

/** One writer each, so the version that is there is the one to replace; a conflict is retried with what is there then. */
async function putBesideLink(client: ApiClient, link: LinkName, { resource, kind, name, spec }: Beside): Promise<null> {
  const owner = await client.send({ method: "GET", path: `${resourcePath(client.namespace, "spindlelinks")}/${link}` });
  if (owner.kind !== "object") throw linkMissing(link);
  const ownerReferences = [{ apiVersion, kind: "SpindleLink", name: link, uid: owner.object.metadata.uid }];
  const path = resourcePath(client.namespace, resource);
  const put = async (): Promise<ApiAnswer> => {
    const known = await client.send({ method: "GET", path: `${path}/${name}` });
    const version = known.kind === "object" ? { resourceVersion: known.object.metadata.resourceVersion } : {};
    const body = { apiVersion, kind, metadata: { name, ownerReferences, ...version }, spec };
    return client.send(known.kind === "object" ? { method: "PUT", path: `${path}/${name}`, body } : { method: "POST", path, body });
  };
  const first = await put();
  const answer = first.kind === "object" ? first : await put();
  if (answer.kind === "object") return null;
  throw linkMissing(link);
}
