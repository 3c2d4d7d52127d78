/**
 * How objects become the items of a key-value store (../kv.ts), so that every registry follows and
 * reads its records by the same code. Keys are those of ../keys.ts; the value is the record's text.
 *
 * Invariant: a roster entry's revision is the one that the leader allotted, never a version of the
 * API server; all other records have the version that compare-and-set needs.
 */
import { createHash } from "node:crypto";
import { fleetKey, reportPrefix, requestKey, rosterPrefix, rotationPrefix } from "../keys.js";
import type { KvItem } from "../kv.js";
import { versionOf, type KubeObject, type Resource } from "./kube-object.js";
import { admittedNodeSchema, objectSchemas, type AdmittedNode } from "./object-schemas.js";
import { restoreNulls, structuralSchema } from "./structural-schema.js";

/** `value` null: the record is not there. */
export interface Seen extends Omit<KvItem, "value"> {
  readonly value: string | null;
}

export interface Collection {
  readonly resource: Resource;
  /** The one object of it, or null for all. */
  readonly name: string | null;
  /** Only objects that have it. */
  readonly label?: string;
  /** Null for an object that holds no record of this kind (yet). */
  readonly see: (object: KubeObject) => Seen | null;
}

export const fleetName = "fleet";
export const requestName = "request";
export const rotationNamePrefix = "rotation-";

const nodeSchema = structuralSchema(admittedNodeSchema);
const reportSchema = structuralSchema(objectSchemas.SpindleReport.status);
const fleetSchema = structuralSchema(objectSchemas.SpindleFleet.status);
const rotationSchema = structuralSchema(objectSchemas.SpindleRotation.status);
const rotationSpecSchema = structuralSchema(objectSchemas.SpindleRotation.spec);

export const rosterCollection: Collection = {
  resource: "spindlenodes",
  name: null,
  see: (object) => seeNode(object),
};

const reportCollection: Collection = {
  resource: "spindlereports",
  name: null,
  see: (object) => seeReport(object),
};

const fleetCollection: Collection = {
  resource: "spindlefleets",
  name: fleetName,
  see: (object) => see(object, fleetKey, fieldOf(object.status, "phase"), () =>
    restoreNulls(fleetSchema, object.status)),
};

const requestCollection: Collection = {
  resource: "spindlerotations",
  name: requestName,
  see: (object) => {
    const spec = restoreNulls(rotationSpecSchema, object.spec);
    const request = fieldOf(spec, "request");
    return see(object, requestKey, request, () => request);
  },
};

const rotationCollection: Collection = {
  resource: "spindlerotations",
  name: null,
  see: (object) => {
    if (!object.metadata.name.startsWith(rotationNamePrefix)) return null;
    const key = rotationPrefix + object.metadata.name.slice(rotationNamePrefix.length);
    return see(object, key, fieldOf(object.status, "rotation"), () =>
      restoreNulls(rotationSchema, object.status));
  },
};

/** By the key or prefix that the code above the store asks for. */
export function collectionOf(prefix: string): Collection | null {
  if (prefix === rosterPrefix) return rosterCollection;
  if (prefix === reportPrefix) return reportCollection;
  if (prefix === fleetKey) return fleetCollection;
  if (prefix === requestKey) return requestCollection;
  return prefix === rotationPrefix ? rotationCollection : null;
}

/** @returns null for the mark of a removal or a node that the leader did not write so */
export function seeNode({ metadata, spec }: KubeObject): Seen {
  const key = rosterPrefix + metadata.name;
  const node = parseNode(metadata.name, spec);
  if (node.kind === "faulty") return { key, value: "", revision: 0, fault: node.why };
  const { state, revision, record } = node.node;
  if (state === "removed" || record === null) return { key, value: null, revision };
  return { key, value: JSON.stringify(record), revision };
}

export type ParsedNode =
  | { readonly kind: "node"; readonly node: AdmittedNode }
  | { readonly kind: "faulty"; readonly why: string };

export function parseNode(name: string, spec: unknown): ParsedNode {
  const restored = restoreNulls(nodeSchema, spec);
  if (fieldOf(restored, "digest") !== digestOf(name, restored)) {
    return { kind: "faulty", why: "changed by hand, or written by a newer version" };
  }
  const parsed = admittedNodeSchema.safeParse(restored);
  if (parsed.success) return { kind: "node", node: parsed.data as AdmittedNode };
  const path = parsed.error.issues[0]?.path.join(".") ?? "";
  return { kind: "faulty", why: `${path} cannot be read by this version` };
}

/** Over the name and all of the spec but the digest itself. */
export function digestOf(name: string, spec: unknown): string {
  const content = typeof spec === "object" ? { ...spec, digest: null } : null;
  return createHash("sha256").update(canonicalText([name, content])).digest("hex");
}

function seeReport(object: KubeObject): Seen | null {
  const key = reportPrefix + object.metadata.name;
  return see(object, key, fieldOf(object.status, "node"), () =>
    restoreNulls(reportSchema, object.status));
}

/** `mark` is a field that the record always has: without it there is only the rest of a status. */
function see(object: KubeObject, key: string, mark: unknown, record: () => unknown): Seen | null {
  if (mark === undefined || mark === null) return null;
  const value = JSON.stringify(record());
  return { key, value, revision: versionOf(object.metadata.resourceVersion) };
}

function fieldOf(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null) return undefined;
  return (value as Readonly<Record<string, unknown>>)[name];
}

/** JSON with sorted fields and without nulls: what the API server does to an object changes neither. */
function canonicalText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value ?? null);
  const fields = Object.entries(value)
    .filter(([, field]) => field !== null && field !== undefined)
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([name, field]) => `${JSON.stringify(name)}:${canonicalText(field)}`);
  return `{${fields.join(",")}}`;
}
