/** Writes of the fleet record, the request slot, the rotation history and reports. */
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../core/fleet/record.js";
import { limits } from "../../core/limits.js";
import type { Report } from "../../core/report.js";
import { PortError } from "../port-error.js";
import { fleetKey, reportKey, requestKey, rosterKey, rotationKey, rotationPrefix } from "./keys.js";
import type { KvItem, KvOperation, KvReader, KvTransactions } from "./kv.js";
import { decode, encode, type InvalidRecord } from "./records.js";
import {
  fleetRecordSchema,
  operatorRequestSchema,
  reportSchema,
  rotationRecordSchema,
} from "./schemas.js";

/** @throws PortError REGISTRY_NOT_ADMITTED: a report of a removed node would stay for ever */
export async function publishReport(kv: KvTransactions, report: Report): Promise<null> {
  const key = reportKey(report.node);
  const outcome = await kv.transaction(
    [{ kind: "present", key: rosterKey(report.node) }],
    [{ kind: "put", key, value: encode(reportSchema, key, report) }],
  );
  if (outcome.kind === "committed") return null;
  throw new PortError("REGISTRY_NOT_ADMITTED", `node ${report.node} is not on the roster`, false);
}

/** Returns the new version. */
export async function writeFleet(
  kv: KvTransactions,
  record: FleetRecord,
  expectedVersion: number,
): Promise<number> {
  const outcome = await kv.transaction(
    [{ kind: "unchanged", key: fleetKey, revision: expectedVersion }],
    [{ kind: "put", key: fleetKey, value: encode(fleetRecordSchema, fleetKey, record) }],
  );
  if (outcome.kind === "committed") return outcome.revision;
  throw conflict(`the fleet record is no longer at version ${expectedVersion}`);
}

/** Putting the request that already waits succeeds, so it may be tried again after a fault. */
export async function putRequest(kv: KvTransactions, request: OperatorRequest): Promise<null> {
  const value = encode(operatorRequestSchema, requestKey, request);
  const outcome = await kv.transaction(
    [{ kind: "unchanged", key: requestKey, revision: 0 }],
    [{ kind: "put", key: requestKey, value }],
  );
  if (outcome.kind === "committed") return null;
  const waiting = await readRequest(kv);
  if (waiting !== null && requestId(waiting) === request.id) return null;
  throw conflict("another operator request waits");
}

/** Clearing a request that is not there succeeds. */
export async function clearRequest(kv: KvTransactions, id: string): Promise<null> {
  const waiting = await readRequest(kv);
  if (waiting === null || requestId(waiting) !== id) return null;
  await kv.transaction(
    [{ kind: "unchanged", key: requestKey, revision: waiting.revision }],
    [{ kind: "delete", key: requestKey }],
  );
  return null; // A conflict means that another cleared it first.
}

/** Keeps the last `rotationHistoryMax` rotations: their numbers have no gaps. */
export async function putRotation(kv: KvTransactions, record: RotationRecord): Promise<null> {
  const key = rotationKey(record.rotation);
  const put: KvOperation = { kind: "put", key, value: encode(rotationRecordSchema, key, record) };
  const outdated = record.rotation - limits.rotationHistoryMax;
  const drop: readonly KvOperation[] =
    outdated < 0 ? [] : [{ kind: "delete", key: rotationKey(outdated) }];
  await kv.transaction([], [put, ...drop]);
  return null;
}

/** Newest first. */
export async function listRotations(
  kv: Pick<KvReader, "range">,
  skipped: (record: InvalidRecord) => void,
): Promise<readonly RotationRecord[]> {
  const { items } = await kv.range(rotationPrefix);
  const records: RotationRecord[] = [];
  for (const item of [...items].reverse()) {
    const decoded = decode(rotationRecordSchema, item);
    if (decoded.kind === "valid") records.push(decoded.value);
    else skipped(decoded.record);
  }
  return records;
}

async function readRequest(kv: KvTransactions): Promise<KvItem | null> {
  const { items } = await kv.get([requestKey]);
  return items[0] ?? null;
}

/**
 * Also of a request that this version cannot read otherwise: whoever wrote it must be able to clear
 * it.
 */
function requestId(item: KvItem): string | null {
  try {
    const parsed: unknown = JSON.parse(item.value);
    if (typeof parsed !== "object" || parsed === null || !("id" in parsed)) return null;
    return typeof parsed.id === "string" ? parsed.id : null;
  } catch {
    return null;
  }
}

function conflict(message: string): PortError {
  return new PortError("REGISTRY_CONFLICT", message, false);
}
