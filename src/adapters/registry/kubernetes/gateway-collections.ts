/**
 * VPN links, their reports and requests as items of a store, as collections.ts does for a fleet. A link's object has a label
 * for each of its two sites, so that a site lists and watches its own links and no other.
 */
import type { LinkName, SiteName } from "../../../core/gateway/link.js";
import { gatewayPrefixes } from "../gateway-keys.js";
import type { Collection, Seen } from "./collections.js";
import { versionOf, type KubeObject, type Resource } from "./kube-object.js";
import { objectSchemas } from "./object-schemas.js";
import { restoreNulls, structuralSchema, type StructuralSchema } from "./structural-schema.js";

const linkSchema = structuralSchema(objectSchemas.SpindleLink.spec);
const reportSchema = structuralSchema(objectSchemas.SpindleLinkReport.spec);
const requestSchema = structuralSchema(objectSchemas.SpindleLinkRequest.spec);

const reportCollection: Collection = of("spindlelinkreports", reportSchema, (name) => gatewayPrefixes.reports + name.replace(".", "/"));
const requestCollection: Collection = of("spindlelinkrequests", requestSchema, (name) => gatewayPrefixes.requests + name);
const linkCollection: Collection = linksUnder(gatewayPrefixes.links);

/** Null for what is no key of VPN links. */
export function gatewayCollectionOf(prefix: string): Collection | null {
  if (prefix === gatewayPrefixes.links) return linkCollection;
  if (prefix === gatewayPrefixes.reports) return reportCollection;
  if (prefix === gatewayPrefixes.requests) return requestCollection;
  if (!prefix.startsWith(gatewayPrefixes.sites)) return null;
  const site = prefix.slice(gatewayPrefixes.sites.length).replace(/\/$/, "") as SiteName;
  return { ...linksUnder(prefix), label: siteLabel(site) };
}

/** Neither name holds a dot. */
export function reportObjectName(link: LinkName, site: SiteName): string {
  return `${link}.${site}`;
}

export function siteLabel(site: SiteName): string {
  return `site.spindle.dev/${site}`;
}

function linksUnder(prefix: string): Collection {
  return of("spindlelinks", linkSchema, (name) => prefix + name);
}

function of(resource: Resource, schema: StructuralSchema, keyOf: (name: string) => string): Collection {
  return { resource, name: null, see: (object) => see(object, schema, keyOf) };
}

function see({ metadata, spec }: KubeObject, schema: StructuralSchema, keyOf: (name: string) => string): Seen {
  return { key: keyOf(metadata.name), value: JSON.stringify(restoreNulls(schema, spec)), revision: versionOf(metadata.resourceVersion) };
}
