/**
 * The stored records. What cannot be read by these schemas is never written, and what is read and
 * does not fit is skipped: another version may have written it. Unknown fields are dropped.
 */
import { isIPv4 } from "node:net";
import { z } from "zod";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../../core/fleet/record.js";
import { checkValuePattern, parseCheckValue, parseKeyId } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import {
  incarnationIdPattern,
  nodeNamePattern,
  parseIncarnationId,
  parseNodeName,
  type NodeAddresses,
  type RosterEntry,
  type RosterRevision,
} from "../../core/node.js";
import type { Report } from "../../core/report.js";
import type { NumberLedger } from "../../core/roster-allotment.js";
import type { IncarnationNumber, NodeIndex } from "../../core/spi.js";
import { canonicalCidr } from "../cidr.js";
import { canonicalIpv6 } from "../ip-address.js";
import { policyLevels } from "../../core/policy-level.js";
import { parsed } from "./parsed-field.js";

const count = z.number().int().nonnegative();
const text = z.string().max(4_096);
const schemaVersion = z.literal(1);
/** Of what names a node's networks: a program that knows none must not take the node for one without. */
export const addressesVersion = z.literal([1, 2]);

/** `meta` is what a JSON Schema shows of what the parser checks. */
const nodeNameText = z.string().meta({ pattern: nodeNamePattern.source, maxLength: 253 });
const nodeName = parsed(nodeNameText, parseNodeName);
const incarnationIdText = z.string().meta({ pattern: incarnationIdPattern.source });
export const incarnationIdSchema = parsed(incarnationIdText, parseIncarnationId);
const incarnationId = incarnationIdSchema;
const keyIdNumber = z.number().meta({ type: "integer", minimum: 1, maximum: 255 });
const keyId = parsed(keyIdNumber, (value) => parseKeyId(value, 255));
const checkText = z.string().meta({ pattern: checkValuePattern.source });
const check = parsed(checkText, parseCheckValue);
const key = z.object({ keyId, check });
const keys = z.array(key).max(limits.keyFileLinesMax);
const revision = count.transform((value) => value as RosterRevision);
const index = count.max(limits.nodeIndexMax).transform((value) => value as NodeIndex);
const incarnationNumber = count
  .max(limits.incarnationNumberMax)
  .transform((value) => value as IncarnationNumber);

/** In canonical form after reading: whoever wrote the record may have spelled it otherwise. */
const ipv6Text = z.string().meta({ format: "ipv6" });
const ipv6 = ipv6Text.transform((text, context) => {
  const canonical = canonicalIpv6(text);
  if (canonical !== null) return canonical;
  context.addIssue({ code: "custom", message: "not an IPv6 address" });
  return z.NEVER;
});

const cidr = z.string().transform((text, context) => {
  const canonical = canonicalCidr(text);
  if (canonical !== null) return canonical;
  context.addIssue({ code: "custom", message: "not a network" });
  return z.NEVER;
});

/** Without networks where there are none: nobody tells an absent field from an empty one by accident. */
export const addressesSchema: z.ZodType<NodeAddresses> = z
  .object({
    ipv4: z.string().refine(isIPv4, "not an IPv4 address").meta({ format: "ipv4" }).nullable(),
    ipv6: ipv6.nullable(),
    udpPort: z.number().int().min(1).max(65_535).nullable(),
    cidrs: z.array(cidr).min(1).max(limits.nodeCidrsMax).nullish(),
  })
  .transform(({ cidrs, ...ends }) => (cidrs === null || cidrs === undefined ? ends : { ...ends, cidrs }));

/** Of a record with these addresses. */
export function addressesVersionOf(addresses: NodeAddresses): 1 | 2 {
  return addresses.cidrs === undefined ? 1 : 2;
}

/** The stored half of a roster entry: its revision is that of the key. */
export interface RosterRecord extends Omit<RosterEntry, "revision"> {
  /** As `addressesVersionOf` says. */
  readonly schemaVersion: 1 | 2;
  readonly numbers: NumberLedger;
}

const numbers: z.ZodType<NumberLedger> = z.object({
  nextNumber: count.max(limits.incarnationNumberMax + 1),
  superseded: z
    .array(z.object({ number: incarnationNumber, after: revision }))
    .max(limits.incarnationNumberMax),
});

export const rosterRecordSchema: z.ZodType<RosterRecord> = z.object({
  schemaVersion: addressesVersion,
  name: nodeName,
  index,
  incarnationId,
  incarnationNumber,
  addresses: addressesSchema,
  numbers,
});

export function entryOf(record: RosterRecord, revision: number): RosterEntry {
  return {
    name: record.name,
    index: record.index,
    incarnationId: record.incarnationId,
    incarnationNumber: record.incarnationNumber,
    addresses: record.addresses,
    revision: revision as RosterRevision,
  };
}

export const rosterMetaSchema = z.object({
  schemaVersion,
  nextIndex: count.max(limits.nodeIndexMax + 1),
});

export const releasedIndexSchema = z.object({ schemaVersion, index, after: revision });

const policyLevel = z.enum(policyLevels);

export const reportSchema: z.ZodType<Report> = z.object({
  schemaVersion,
  node: nodeName,
  incarnationId,
  available: keys,
  holds: keys,
  sendingOldest: keyId.nullable(),
  sendingNewest: keyId.nullable(),
  refused: keys,
  exclusionEpoch: count,
  stagingMs: count.nullable(),
  through: revision,
  waitingFor: key.nullable(),
  waitingMs: z.number().nonnegative().nullable(),
  retired: z.object({ key, forced: z.boolean(), errors: count }).nullable(),
  level: z.object({ applied: policyLevel, sendsPlain: z.boolean() }).optional(),
  unproven: z.object({ count, peer: nodeName, why: text }).optional(),
});

const fleetPhase = z.enum(["steady", "staging", "staged", "draining", "aborting"]);

export const fleetRecordSchema: z.ZodType<FleetRecord> = z.object({
  schemaVersion,
  rotation: count,
  phase: fleetPhase,
  current: key.nullable(),
  target: key.nullable(),
  through: z.array(z.object({ key, revision })).max(limits.keyFileLinesMax),
  excluded: z.array(z.object({ name: nodeName, incarnationId })),
  exclusionEpoch: count,
  leftBehind: z.boolean(),
  refused: keys,
  emergency: z.boolean(),
  purge: z.boolean(),
  retireMs: z.number().nonnegative(),
  drainMs: z.number().nonnegative(),
  answer: z
    .object({ requestId: text, accepted: z.boolean(), why: text, code: text.optional() })
    .nullable(),
  levels: z
    .object({
      level: policyLevel.nullable(),
      wanted: policyLevel,
      applied: z.boolean(),
      lastKey: key.optional(),
      asked: z.object({ by: text, at: text, reason: text }),
    })
    .optional(),
  awaited: z
    .object({
      by: text,
      at: text,
      reason: text,
      scheduled: z.boolean(),
      compromised: key.nullable(),
      keyId: keyId.nullable(),
      problem: z.object({ code: text, why: text }).nullable(),
    })
    .optional(),
});

export const operatorRequestSchema: z.ZodType<OperatorRequest> = z.object({
  schemaVersion,
  id: text.min(1),
  kind: z.enum(["rotate", "abort", "level"]),
  reason: text,
  by: text,
  at: text,
  compromised: key.nullable(),
  abort: key.nullable(),
  level: policyLevel.optional(),
});

export const rotationRecordSchema: z.ZodType<RotationRecord> = z.object({
  schemaVersion,
  rotation: count,
  from: key.nullable(),
  to: key,
  reason: text,
  by: text,
  emergency: z.boolean(),
  startedAt: text,
  endedAt: text.nullable(),
  outcome: z.enum(["running", "done", "aborted", "replaced"]),
  preflight: z.object({
    fits: z.boolean(),
    nodes: count,
    estimateMs: z.number().nonnegative(),
    notes: z.array(text),
  }),
  phases: z.array(z.object({ phase: fleetPhase, at: text, afterMs: z.number() })),
  stragglers: z.array(
    z.object({ name: nodeName, kind: z.enum(["slow", "silent", "excluded"]), why: text }),
  ),
  forcedRetires: count,
  errors: count,
});
