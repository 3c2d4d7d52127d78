/**
 * Writes of reports, the fleet record, the request slot and the rotation history. Compare-and-set is
 * the API server's own: an update names the version it replaces, a creation fails when there is one.
 */
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../../core/fleet/record.js";
import { limits } from "../../../core/limits.js";
import type { Report } from "../../../core/report.js";
import { PortError } from "../../port-error.js";
import { fleetKey, reportKey, requestKey, rotationKey } from "../keys.js";
import { encode } from "../records.js";
import { fleetRecordSchema, operatorRequestSchema } from "../schemas.js";
import { reportSchema, rotationRecordSchema } from "../schemas.js";
import type { ApiAnswer, ApiClient } from "./api-client.js";
import { fleetName, requestName, rotationNamePrefix } from "./collections.js";
import { apiVersion, resourcePath, versionOf, type KubeObject } from "./kube-object.js";
import type { Kind } from "./object-schemas.js";
import { fleetWords, reportWords } from "./shown-words.js";

/** @throws PortError REGISTRY_NOT_ADMITTED: the node's object went with its removal */
export async function publishReport(client: ApiClient, report: Report): Promise<null> {
  encode(reportSchema, reportKey(report.node), report);
  const path = `${resourcePath(client.namespace, "spindlereports")}/${report.node}/status`;
  const body = { status: { ...report, ...reportWords(report) } };
  const answer = await client.send({ method: "PATCH", path, body });
  if (answer.kind === "object") return null;
  throw new PortError("REGISTRY_NOT_ADMITTED", `node ${report.node} is not on the roster`, false);
}

/** Returns the new version. */
export async function writeFleet(
  client: ApiClient,
  record: FleetRecord,
  expectedVersion: number,
): Promise<number> {
  encode(fleetRecordSchema, fleetKey, record);
  const status = { ...record, ...fleetWords(record) };
  const version = expectedVersion === 0 ? await makeFleet(client) : String(expectedVersion);
  const answer = await putStatus(client, "SpindleFleet", fleetName, version, status);
  if (answer.kind === "object") return versionOf(answer.object.metadata.resourceVersion);
  throw conflict(`the fleet record is no longer at version ${expectedVersion}`);
}

/** The object without a record: a status cannot be created with it. @returns its version */
async function makeFleet(client: ApiClient): Promise<string> {
  const path = resourcePath(client.namespace, "spindlefleets");
  const body = { apiVersion, kind: "SpindleFleet", metadata: { name: fleetName } };
  const created = await client.send({ method: "POST", path, body });
  if (created.kind === "object") return created.object.metadata.resourceVersion;
  const found = await client.send({ method: "GET", path: `${path}/${fleetName}` });
  // Somebody was stopped half way: there is no record yet.
  const isEmpty = found.kind === "object" && !hasField(found.object.status, "phase");
  if (isEmpty) return found.object.metadata.resourceVersion;
  throw conflict("there is a fleet record already");
}

/** Putting the request that already waits succeeds, so it may be tried again after a fault. */
export async function putRequest(client: ApiClient, request: OperatorRequest): Promise<null> {
  encode(operatorRequestSchema, requestKey, request);
  const path = resourcePath(client.namespace, "spindlerotations");
  const metadata = { name: requestName };
  const body = { apiVersion, kind: "SpindleRotation", metadata, spec: { request } };
  const answer = await client.send({ method: "POST", path, body });
  if (answer.kind === "object") return null;
  if (answer.kind === "absent") throw notServed("spindlerotations");
  const waiting = await readRequest(client);
  if (waiting !== null && requestId(waiting) === request.id) return null;
  throw conflict("another operator request waits");
}

/** Clearing a request that is not there succeeds. */
export async function clearRequest(client: ApiClient, id: string): Promise<null> {
  const waiting = await readRequest(client);
  if (waiting === null || requestId(waiting) !== id) return null;
  const path = `${resourcePath(client.namespace, "spindlerotations")}/${requestName}`;
  await client.remove(path, waiting.metadata.resourceVersion);
  return null; // A conflict means that another cleared it first.
}

/** Keeps the last `rotationHistoryMax` rotations: their numbers have no gaps. */
export async function putRotation(client: ApiClient, record: RotationRecord): Promise<null> {
  encode(rotationRecordSchema, rotationKey(record.rotation), record);
  const path = resourcePath(client.namespace, "spindlerotations");
  const name = rotationName(record.rotation);
  const { rotation } = record;
  const found = await client.send({ method: "GET", path: `${path}/${name}` });
  const body = { apiVersion, kind: "SpindleRotation", metadata: { name }, spec: { rotation } };
  const object =
    found.kind === "object" ? found : await client.send({ method: "POST", path, body });
  if (object.kind === "absent") throw notServed("spindlerotations");
  const patch = { method: "PATCH", path: `${path}/${name}/status`, body: { status: record } } as const;
  await client.send(patch);
  const outdated = rotation - limits.rotationHistoryMax;
  if (outdated >= 0) await client.remove(`${path}/${rotationName(outdated)}`);
  return null;
}

function putStatus(
  client: ApiClient,
  kind: Kind,
  name: string,
  resourceVersion: string,
  status: unknown,
): Promise<ApiAnswer> {
  const path = `${resourcePath(client.namespace, "spindlefleets")}/${name}/status`;
  const body = { apiVersion, kind, metadata: { name, resourceVersion }, status };
  return client.send({ method: "PUT", path, body });
}

/** Wide enough for 2^53, so that names sort as numbers do. */
function rotationName(rotation: number): string {
  return rotationNamePrefix + String(rotation).padStart(16, "0");
}

async function readRequest(client: ApiClient): Promise<KubeObject | null> {
  const path = `${resourcePath(client.namespace, "spindlerotations")}/${requestName}`;
  const answer = await client.send({ method: "GET", path });
  return answer.kind === "object" ? answer.object : null;
}

/** Also of a request that this version cannot read otherwise. */
function requestId({ spec }: KubeObject): unknown {
  if (!hasField(spec, "request") || !hasField(spec.request, "id")) return null;
  return spec.request.id;
}

function hasField<N extends string>(value: unknown, name: N): value is Readonly<Record<N, unknown>> {
  return typeof value === "object" && value !== null && name in value;
}

function notServed(resource: string): PortError {
  const message = `the API server does not serve ${resource}: install the definitions of spindle.dev`;
  return new PortError("KUBERNETES_NOT_INSTALLED", message, true);
}

function conflict(message: string): PortError {
  return new PortError("REGISTRY_CONFLICT", message, false);
}
