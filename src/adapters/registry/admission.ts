/**
 * Admission and removal of nodes. An entry is written only when it changes, so the revision of its
 * key is that of its last change. What may be given out again, and when, is decided in
 * core/roster-allotment.ts.
 */
import {
  sameAddresses,
  type NodeName,
  type RosterEntry,
  type RosterRevision,
} from "../../core/node.js";
import {
  allotIndex,
  areNumbersLost,
  allotNumber,
  firstNumbers,
  hasFreshIndex,
  hasFreshNumber,
  supersede,
  type AllotmentFailure,
  type IndexAllotment,
} from "../../core/roster-allotment.js";
import type { Result } from "../../core/result.js";
import type { RegisterRequest } from "../../ports/registry.js";
import { PortError } from "../port-error.js";
import { releasedKey, reportKey, rosterKey } from "./keys.js";
import type { KvItem, KvOperation, KvTransactions } from "./kv.js";
import { decode, decodeOrThrow, encode } from "./records.js";
import { readEvidence, readOldestReleased, type OldestReleased } from "./reuse-evidence.js";
import { changeRoster, type Decision, type RosterView } from "./roster-change.js";
import { checkNetworks } from "./network-claims.js";
import { addressesVersionOf, entryOf, releasedIndexSchema, rosterRecordSchema, type RosterRecord } from "./schemas.js";

/** Admits the node or updates its entry; the same request again writes nothing. */
export function admit(kv: KvTransactions, request: RegisterRequest, signal: AbortSignal): Promise<RosterEntry> {
  return changeRoster(kv, request.name, signal, async (view) => {
    await checkNetworks(kv, request, view.item);
    if (view.item === null) return admitNew(kv, request, view);
    const known = decodeOrThrow(rosterRecordSchema, view.item);
    if (known.incarnationId !== request.incarnationId) {
      return areNumbersLost(known.numbers) ? admitNew(kv, request, view) : renumber(kv, request, view, known);
    }
    if (!sameAddresses(known.addresses, request.addresses)) {
      return writing(view.nextIndex, { ...known, ...placed(request) });
    }
    return { kind: "keep", result: entryOf(known, view.item.revision) };
  });
}

/** Takes a node and its report off; its index goes to the end of the queue of released ones. */
export function dismiss(kv: KvTransactions, name: NodeName, signal: AbortSignal): Promise<RosterRevision> {
  return changeRoster<RosterRevision>(kv, name, signal, async (view) => {
    if (view.item === null) return { kind: "keep", result: view.revision };
    const operations: readonly KvOperation[] = [
      { kind: "delete", key: rosterKey(name) },
      { kind: "delete", key: reportKey(name) },
      ...release(view.item, view.revision),
    ];
    const { nextIndex } = view;
    return { kind: "change", nextIndex, operations, result: (revision) => revision };
  });
}

async function admitNew(
  kv: KvTransactions,
  request: RegisterRequest,
  view: RosterView,
): Promise<Decision<RosterEntry>> {
  const { place, queue } = await allotPlace(kv, request.name, view.nextIndex);
  const { number, ledger } = allotted(allotNumber(firstNumbers, null));
  const record: RosterRecord = {
    ...placed(request),
    name: request.name,
    index: place.index,
    incarnationId: request.incarnationId,
    incarnationNumber: number,
    numbers: ledger,
  };
  const taken: readonly KvOperation[] =
    place.reused && queue !== null ? [{ kind: "delete", key: queue.key }] : [];
  return writing(place.nextIndex, record, taken);
}

/** Reads the queue and the evidence only when no fresh index is left. */
async function allotPlace(
  kv: KvTransactions,
  name: NodeName,
  nextIndex: number,
): Promise<{ readonly place: IndexAllotment; readonly queue: OldestReleased | null }> {
  if (hasFreshIndex({ nextIndex, oldestReleased: null })) {
    return { place: allotted(allotIndex({ nextIndex, oldestReleased: null }, null)), queue: null };
  }
  const queue = await readOldestReleased(kv);
  const evidence = await readEvidence(kv, name);
  const ledger = { nextIndex, oldestReleased: queue?.released ?? null };
  return { place: allotted(allotIndex(ledger, evidence)), queue };
}

async function renumber(
  kv: KvTransactions,
  request: RegisterRequest,
  view: RosterView,
  known: RosterRecord,
): Promise<Decision<RosterEntry>> {
  const past = supersede(known.numbers, known.incarnationNumber, view.revision);
  const evidence = hasFreshNumber(past) ? null : await readEvidence(kv, request.name);
  const { number, ledger } = allotted(allotNumber(past, evidence));
  const { incarnationId } = request;
  const record = { ...known, ...placed(request), incarnationId, incarnationNumber: number, numbers: ledger };
  return writing(view.nextIndex, record);
}

function placed({ addresses }: RegisterRequest): Pick<RosterRecord, "schemaVersion" | "addresses"> {
  return { schemaVersion: addressesVersionOf(addresses), addresses };
}

function writing(
  nextIndex: number,
  record: RosterRecord,
  besides: readonly KvOperation[] = [],
): Decision<RosterEntry> {
  const key = rosterKey(record.name);
  const value = encode(rosterRecordSchema, key, record);
  return {
    kind: "change",
    nextIndex,
    operations: [{ kind: "put", key, value }, ...besides],
    result: (revision) => entryOf(record, revision),
  };
}

/** The index of a record that cannot be read is unknown: it is never given out again. */
function release(item: KvItem, after: RosterRevision): readonly KvOperation[] {
  const known = decode(rosterRecordSchema, item);
  if (known.kind === "invalid") return [];
  const { index } = known.value;
  const key = releasedKey(after, index);
  const value = encode(releasedIndexSchema, key, { schemaVersion: 1, index, after });
  return [{ kind: "put", key, value }];
}

/** None free is retryable: a report, a removal or the next rotation frees one. */
function allotted<T>(result: Result<T, AllotmentFailure>): T {
  if (result.ok) return result.value;
  throw new PortError(result.error.code, result.error.message, true);
}
