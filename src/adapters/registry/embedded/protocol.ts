/**
 * What client and server of the embedded registry say to each other. Every message of a request and
 * every event of a watch carries the id that the client chose. Snapshots come in parts, so that no
 * message grows with the fleet.
 */
import { z } from "zod";
import { limits } from "../../../core/limits.js";
import type { KvChange, KvItem, KvLease, KvOutcome } from "../kv.js";
import { recordClasses, type RegistryStatistics } from "./statistics.js";

export const protocolVersion = 1;

const dayMs = 86_400_000;
const id = z.number().int().nonnegative();
const count = z.number().int().nonnegative();
const key = z.string().max(limits.registryKeyLengthMax);
const leaseMs = z.number().positive().max(dayMs);
const candidate = z.object({ name: key, session: key });

const compare = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("unchanged"), key, revision: count }),
  z.object({ kind: z.literal("present"), key }),
]);
const operation = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("put"), key, value: z.string() }),
  z.object({ kind: z.literal("delete"), key }),
]);

export const clientMessageSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("hello"), protocol: count }),
  z.object({ kind: z.literal("get"), id, keys: z.array(key).max(limits.registryOperationsMax) }),
  z.object({ kind: z.literal("range"), id, prefix: key, limit: count.nullable() }),
  z.object({
    kind: z.literal("transaction"),
    id,
    compares: z.array(compare),
    operations: z.array(operation),
  }),
  z.object({ kind: z.literal("watch"), id, prefix: key, after: count }),
  z.object({ kind: z.literal("unwatch"), id }),
  z.object({ kind: z.literal("renew-lease"), id, name: key, holder: key, leaseMs }),
  z.object({ kind: z.literal("leases"), id }),
  z.object({ kind: z.literal("lead"), id, candidate, leaseMs }),
  z.object({ kind: z.literal("resign"), id, candidate }),
  z.object({ kind: z.literal("statistics"), id }),
  z.object({ kind: z.literal("ping"), id }),
]);
export type ClientMessage = z.output<typeof clientMessageSchema>;

const item: z.ZodType<KvItem> = z.object({ key, value: z.string(), revision: count });
const change: z.ZodType<KvChange> = z.object({ key, value: z.string().nullable() });

export const serverMessageSchema = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("welcome"), protocol: count, storeId: z.string() }),
  /** Ends a connection that cannot go on. */
  z.object({ kind: z.literal("goodbye"), code: z.string(), message: z.string() }),
  z.object({ kind: z.literal("part"), id, items: z.array(item) }),
  z.object({ kind: z.literal("answer"), id, value: z.unknown() }),
  z.object({
    kind: z.literal("error"),
    id,
    code: z.string(),
    message: z.string(),
    retryable: z.boolean(),
  }),
  z.object({ kind: z.literal("changes"), id, revision: count, changes: z.array(change) }),
  z.object({ kind: z.literal("caught-up"), id, revision: count }),
  z.object({ kind: z.literal("compacted"), id }),
]);
export type ServerMessage = z.output<typeof serverMessageSchema>;

/** The `value` of an answer, by request. */
export const snapshotAnswer = z.object({ revision: count });
export const outcomeAnswer: z.ZodType<KvOutcome> = z.discriminatedUnion("kind", [
  z.object({ kind: z.literal("committed"), revision: count }),
  z.object({ kind: z.literal("conflict") }),
]);
export const leasesAnswer: z.ZodType<readonly KvLease[]> = z.array(
  z.object({ name: z.string(), holder: z.string(), beat: count }),
);
export const leadAnswer = z.boolean();
export const emptyAnswer = z.null();
/** All events up to `revision` were sent before; null while some are held back. */
export const pingAnswer = z.object({ revision: count.nullable() });

const countByClass = z.record(z.enum(recordClasses), count);
export const statisticsAnswer: z.ZodType<RegistryStatistics> = z.object({
  writes: countByClass,
  leaseRenewals: count,
  leadershipBids: count,
  watchEvents: countByClass,
  listedItems: count,
  peakEventsPerSecond: count,
  watches: count,
});
