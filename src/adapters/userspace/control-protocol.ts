/**
 * Messages between agent and userspace dataplane, as they stand in the headers of frames
 * (control-framing.ts). Invariant: no header has a field for key bytes; they travel as the
 * attachment and leave only as keyed digests.
 *
 *     agent      hello [nonce]      apply [keys]      read            dump
 *     dataplane  welcome            applied           part* end       part* end   changed, refused
 *
 * Attachments: of `apply` the keys of its install-sa operations, one after another; of `part` one
 * digest for each SA.
 */
import { z } from "zod";
import { limits } from "../../core/limits.js";
import type { Spi } from "../../core/spi.js";
import { xfrmCounters, type XfrmCounterName } from "../../core/xfrm-counters.js";
import { PortError } from "../port-error.js";

/** Both sides must speak the same version. */
export const protocolVersion = 1;

const entriesMax = limits.controlEntriesPerFrameMax;
const address = z.union([z.ipv4(), z.ipv6()]);
const endpoint = z.strictObject({ address, udpPort: z.int().min(1).max(65_535).nullable() });
const direction = z.enum(["in", "out"]);
/** Values below 256 are reserved (RFC 4303, 2.1). */
const spi = z
  .int()
  .min(256)
  .max(0xffff_ffff)
  .transform((value) => value as Spi);
const count = z.int().min(0);

const saSlot = z.strictObject({ direction, spi, remote: endpoint });
const policySlot = z.strictObject({
  direction,
  family: z.enum(["ipv4", "ipv6"]),
  remote: endpoint,
});
const policyAction = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("protect"), spi }),
  z.strictObject({ kind: z.literal("accept") }),
  z.strictObject({ kind: z.literal("accept-any") }),
  z.strictObject({ kind: z.literal("block") }),
  z.strictObject({ kind: z.literal("pass") }),
]);

const saRequest = z.strictObject({
  direction,
  spi,
  source: endpoint,
  destination: endpoint,
  mode: z.enum(["transport", "tunnel"]),
});

const wireOperation = z.discriminatedUnion("kind", [
  /** `keyBytes` is the length of its key in the attachment. */
  z.strictObject({
    kind: z.literal("install-sa"),
    sa: saRequest,
    keyBytes: z.int().min(0).max(64),
  }),
  z.strictObject({ kind: z.literal("delete-sa"), slot: saSlot }),
  z.strictObject({ kind: z.literal("set-policy"), slot: policySlot, action: policyAction }),
  z.strictObject({ kind: z.literal("delete-policy"), slot: policySlot }),
]);

const request = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("hello"), protocol: z.int() }),
  z.strictObject({
    kind: z.literal("apply"),
    id: count,
    operations: z.array(wireOperation).max(entriesMax),
  }),
  z.strictObject({
    kind: z.literal("read"),
    id: count,
    sas: z.array(saSlot).max(entriesMax),
    policies: z.array(policySlot).max(entriesMax),
  }),
  z.strictObject({ kind: z.literal("dump"), id: count }),
]);

const identity = z.strictObject({
  bootId: z.string(),
  networkNamespace: z.string(),
  instance: z.string(),
});
const counterName = z.enum(Object.keys(xfrmCounters) as [XfrmCounterName, ...XfrmCounterName[]]);

const reply = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("welcome"), protocol: z.int(), identity }),
  z.strictObject({
    kind: z.literal("applied"),
    id: count,
    /** `index` into the request's operations; the others succeeded. */
    failed: z.array(z.strictObject({ index: count, code: z.string(), message: z.string() })),
  }),
  z.strictObject({
    kind: z.literal("part"),
    id: count,
    sas: z.array(z.strictObject({ slot: saSlot, packets: count, sequence: count })),
    policies: z.array(z.strictObject({ slot: policySlot, action: policyAction })),
  }),
  z.strictObject({
    kind: z.literal("end"),
    id: count,
    counters: z.partialRecord(counterName, count),
  }),
  /** Another client changed something. */
  z.strictObject({ kind: z.literal("changed") }),
  z.strictObject({
    kind: z.literal("refused"),
    id: count.nullable(),
    code: z.string(),
    message: z.string(),
  }),
]);

export type WireOperation = z.infer<typeof wireOperation>;
export type ControlRequest = z.infer<typeof request>;
export type ControlReply = z.infer<typeof reply>;
export type AppliedReply = Extract<ControlReply, { kind: "applied" }>;
export type PartReply = Extract<ControlReply, { kind: "part" }>;
export type EndReply = Extract<ControlReply, { kind: "end" }>;

/** @throws PortError `CONTROL_PROTOCOL` */
export function parseRequest(header: unknown): ControlRequest {
  return parse(request, header, "request");
}

/** @throws PortError `CONTROL_PROTOCOL` */
export function parseReply(header: unknown): ControlReply {
  return parse(reply, header, "reply");
}

function parse<T>(schema: z.ZodType<T>, header: unknown, what: string): T {
  const parsed = schema.safeParse(header);
  if (parsed.success) return parsed.data;
  const message = `not a ${what} of the control protocol: ${z.prettifyError(parsed.error)}`;
  throw new PortError("CONTROL_PROTOCOL", message, true, { cause: parsed.error });
}
