/**
 * A node's way onto the roster and off it. A node writes what it asks for into its SpindleReport and
 * waits for the leader's answer; whoever removes it deletes that object and waits until the roster
 * shows it.
 */
import { randomUUID } from "node:crypto";
import { limits } from "../../../core/limits.js";
import {
  sameAddresses,
  type NodeAddresses,
  type NodeName,
  type RosterEntry,
  type RosterRevision,
} from "../../../core/node.js";
import type { RegisterRequest } from "../../../ports/registry.js";
import { PortError } from "../../port-error.js";
import { systemClock } from "../../system/clock.js";
import { backoffMs, pause } from "../backoff.js";
import { rosterMetaKey } from "../keys.js";
import { rosterListingPrefix } from "../keys.js";
import { addressesSchema, addressesVersionOf, entryOf } from "../schemas.js";
import { admissionOf } from "./admission-answers.js";
import { closedError, type ApiClient } from "./api-client.js";
import { parseNode } from "./collections.js";
import { apiVersion, resourcePath, type KubeObject, type Resource } from "./kube-object.js";
import { notInstalled } from "./list-objects.js";
import type { AdmittedNode, Registration } from "./object-schemas.js";
import { registrationSchema } from "./object-schemas.js";
import { ObjectReader } from "./object-reader.js";
import { restoreNulls, structuralSchema } from "./structural-schema.js";
import { watchStream } from "./watch-stream.js";

const structural = structuralSchema(registrationSchema);
const askAgainMsMin = 50;
const askAgainMsMax = 2_000;

/**
 * @throws PortError ROSTER_NO_FREE_INDEX, ROSTER_NO_FREE_INCARNATION, ROSTER_CIDR_TAKEN, REGISTRY_RECORD_INVALID by the
 * leader's answer; REGISTRY_NOT_LED when there is none in time
 */
export async function register(
  client: ApiClient,
  wanted: RegisterRequest,
): Promise<RosterEntry> {
  const request = { ...wanted, addresses: canonical(wanted) };
  const report = await read(client, "spindlereports", request.name);
  const present = await readNode(client, request.name);
  const isAsked = report !== null && asksFor(report, request);
  if (isAsked && present !== null && isEntryFor(present, request)) return toEntry(present);
  const { metadata } = await ask(client, request);
  await answered(client, request.name, metadata.generation);
  const node = await readNode(client, request.name);
  if (node !== null && isEntryFor(node, request)) return toEntry(node);
  // Another client registered the same name meanwhile, or it was removed.
  throw new PortError("REGISTRY_CONFLICT", `node ${request.name} was changed meanwhile`, true);
}

export async function remove(client: ApiClient, name: NodeName): Promise<RosterRevision> {
  await client.remove(`${resourcePath(client.namespace, "spindlereports")}/${name}`);
  const isOff = (object: KubeObject | null): boolean => {
    if (object === null) return true;
    const parsed = parseNode(name, object.spec);
    return parsed.kind === "node" && parsed.node.state === "removed";
  };
  const off = await awaited(client, "spindlenodes", name, isOff);
  const parsed = off === null ? null : parseNode(name, off.spec);
  if (parsed?.kind === "node") return parsed.node.revision;
  const { items } = await new ObjectReader(client).range(rosterListingPrefix);
  return (items.find(({ key }) => key === rosterMetaKey)?.revision ?? 0) as RosterRevision;
}

/** As it will be read back. @throws PortError REGISTRY_RECORD_INVALID */
function canonical({ name, addresses }: RegisterRequest): NodeAddresses {
  const parsed = addressesSchema.safeParse(addresses);
  if (parsed.success) return parsed.data;
  const message = `the addresses of node ${name} are invalid: ${parsed.error.issues[0]?.message}`;
  throw new PortError("REGISTRY_RECORD_INVALID", message, false);
}

async function ask(client: ApiClient, request: RegisterRequest): Promise<KubeObject> {
  const { name, incarnationId, addresses } = request;
  const asked: Registration = { schemaVersion: addressesVersionOf(addresses), incarnationId, addresses, attempt: randomUUID() };
  // A merge patch takes away only what is null in it.
  const spec = { ...asked, addresses: { ...addresses, cidrs: addresses.cidrs ?? null } };
  const path = resourcePath(client.namespace, "spindlereports");
  const patch = { method: "PATCH", path: `${path}/${name}`, body: { spec } } as const;
  const patched = await client.send(patch);
  if (patched.kind === "object") return patched.object;
  const body = { apiVersion, kind: "SpindleReport", metadata: { name }, spec };
  const created = await client.send({ method: "POST", path, body });
  if (created.kind === "object") return created.object;
  if (created.kind === "absent") throw notInstalled(path);
  return ask(client, request); // Another client of the same node was faster.
}

/** @throws PortError the leader's refusal */
async function answered(client: ApiClient, name: NodeName, generation: number): Promise<void> {
  const isAnswered = (object: KubeObject | null): boolean =>
    object === null || (admissionOf(object)?.observedGeneration ?? 0) >= generation;
  const report = await awaited(client, "spindlereports", name, isAnswered);
  const answer = report === null ? null : admissionOf(report);
  if (answer === null || answer.status === "True") return;
  throw new PortError(answer.reason, answer.message, true);
}

/** The object as soon as `holds`; null when it is not there. */
async function awaited(
  client: ApiClient,
  resource: Resource,
  name: NodeName,
  holds: (object: KubeObject | null) => boolean,
): Promise<KubeObject | null> {
  const untilMs = systemClock.nowMs() + limits.kubernetesAdmissionMsMax;
  for (let attempt = 0; systemClock.nowMs() < untilMs; attempt++) {
    const object = await read(client, resource, name);
    if (holds(object)) return object;
    if (object === null) await pause(backoffMs(attempt, askAgainMsMin, askAgainMsMax), client.signal);
    else await nextChange(client, resource, object, untilMs, holds);
    if (client.signal.aborted) throw closedError();
  }
  const message = `no controller has dealt with node ${name} yet`;
  throw new PortError("REGISTRY_NOT_LED", message, true);
}

/** Returns when a change makes `holds` true, the watch ends, or time is up. */
async function nextChange(
  client: ApiClient,
  resource: Resource,
  { metadata: { name, resourceVersion } }: KubeObject,
  untilMs: number,
  holds: (object: KubeObject | null) => boolean,
): Promise<void> {
  const enough = new AbortController();
  const query = {
    watch: "1",
    resourceVersion,
    fieldSelector: `metadata.name=${name}`,
    timeoutSeconds: String(Math.ceil(limits.kubernetesAdmissionMsMax / 1_000)),
  };
  const path = resourcePath(client.namespace, resource);
  const cancel = systemClock.setTimer(untilMs, () => enough.abort());
  try {
    await watchStream(
      client,
      { method: "GET", path, query },
      {
        idleMs: limits.kubernetesAdmissionMsMax,
        change: ({ kind, object }) => {
          if (holds(kind === "removed" ? null : object)) enough.abort();
        },
      },
      enough.signal,
    );
  } catch (cause) {
    if (!enough.signal.aborted) throw cause;
  } finally {
    cancel();
  }
}

async function read(
  client: ApiClient,
  resource: Resource,
  name: string,
): Promise<KubeObject | null> {
  const path = `${resourcePath(client.namespace, resource)}/${name}`;
  const answer = await client.send({ method: "GET", path });
  return answer.kind === "object" ? answer.object : null;
}

/** Null when it is not admitted. */
async function readNode(client: ApiClient, name: NodeName): Promise<AdmittedNode | null> {
  const object = await read(client, "spindlenodes", name);
  const parsed = object === null ? null : parseNode(name, object.spec);
  return parsed?.kind === "node" && parsed.node.state === "admitted" ? parsed.node : null;
}

function asksFor({ spec }: KubeObject, request: RegisterRequest): boolean {
  const parsed = registrationSchema.safeParse(restoreNulls(structural, spec));
  return parsed.success && isSame(parsed.data, request);
}

function isEntryFor({ record }: AdmittedNode, request: RegisterRequest): boolean {
  return record !== null && isSame(record, request);
}

function isSame(
  one: Pick<Registration, "incarnationId" | "addresses">,
  other: Pick<Registration, "incarnationId" | "addresses">,
): boolean {
  return (
    one.incarnationId === other.incarnationId && sameAddresses(one.addresses, other.addresses)
  );
}

function toEntry({ record, revision }: AdmittedNode): RosterEntry {
  if (record === null) throw new Error("an admitted node has a record");
  return entryOf(record, revision);
}
