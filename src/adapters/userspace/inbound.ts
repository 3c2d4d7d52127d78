/**
 * What happens to a datagram on its way in: shape, SA, replay, ICV, source, policy, in the kernel's
 * order (Linux 6.1, xfrm_input and __xfrm_policy_check), with the kernel's counter for each way to
 * fail. Invariant: a window moves only for a packet whose ICV was verified.
 */
import type { Endpoint } from "../../core/sa.js";
import type { Spi } from "../../core/spi.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import { hasEspShape, openEsp, readEspHeader, splitSequence, type EspHeader } from "./esp.js";
import { payloadProtocol, type Databases } from "./outbound.js";
import { subspace } from "./replay-window.js";
import { sameEndpoint, type InboundSa } from "./sa-database.js";

/**
 * `spi` and `sequence` (its 32 low bits) as on the wire; null when the datagram is too short to
 * have them.
 */
export interface Dropped {
  readonly kind: "dropped";
  readonly counter: XfrmCounterName;
  readonly spi: Spi | null;
  readonly sequence: number | null;
}

export type InboundVerdict =
  | { readonly kind: "delivered"; readonly spi: Spi; readonly payload: Buffer }
  | Dropped
  /** Not ESP: an IKE message or a keep-alive (RFC 3948, 2.2 and 2.3). Nobody here reads them. */
  | { readonly kind: "ignored" };

type Opening =
  | { readonly ok: true; readonly nextHeader: number; readonly payload: Buffer }
  | { readonly ok: false; readonly counter: XfrmCounterName };

/**
 * Takes one UDP payload from `source`. Changes the SA's window and packet count when the ICV was
 * right.
 */
export function receiveDatagram(
  databases: Databases,
  datagram: Buffer,
  source: Endpoint,
): InboundVerdict {
  if (isOtherTraffic(datagram)) return { kind: "ignored" };
  const header = readEspHeader(datagram);
  if (header === null || !hasEspShape(datagram)) return drop("XfrmInHdrError", header);
  const sa = databases.sas.inbound(header.spi);
  if (sa === undefined) return drop("XfrmInNoStates", header);
  const opening = openWith(sa, header, datagram);
  if (!opening.ok) return drop(opening.counter, header);
  const refused = refuse(databases, sa, source, opening.nextHeader);
  if (refused !== null) return drop(refused, header);
  return { kind: "delivered", spi: sa.slot.spi, payload: opening.payload };
}

/** A keep-alive is one byte 0xff; the first four bytes of a message that is not ESP are zero. */
function isOtherTraffic(datagram: Buffer): boolean {
  if (datagram.length === 1) return datagram[0] === 0xff;
  return datagram.length >= 4 && datagram.readUInt32BE(0) === 0;
}

function openWith(sa: InboundSa, header: EspHeader, datagram: Buffer): Opening {
  const sequence = sa.window.infer(header.sequenceLow);
  if (sequence === null || sa.window.judge(sequence) !== "new")
    return { ok: false, counter: "XfrmInStateSeqError" };
  const opened = openEsp(sa.key.reveal(), datagram, splitSequence(sequence).high);
  if (!opened.ok) return { ok: false, counter: counterOfFailure(sa, sequence, datagram) };
  sa.window.record(sequence);
  sa.packets += 1;
  return { ok: true, ...opened.value };
}

/**
 * With 64-bit sequence numbers a packet older than the window is taken for one 2^32 later, and its
 * ICV fails (RFC 4303, A2.2). One more try with the older number tells it from a forged packet.
 * Only low halves below the window get here.
 */
function counterOfFailure(sa: InboundSa, sequence: number, datagram: Buffer): XfrmCounterName {
  const older = sequence - subspace;
  if (older < 1) return "XfrmInStateProtoError";
  const opened = openEsp(sa.key.reveal(), datagram, splitSequence(older).high);
  return opened.ok ? "XfrmInStateSeqError" : "XfrmInStateProtoError";
}

/**
 * Checks on an authentic packet. A source that is not the SA's peer is `XfrmInStateMismatch`: one
 * node cannot speak for another (RFC 4301, 5.2, step 4). What is not our payload protocol has no
 * reader: `XfrmInError`.
 */
function refuse(
  databases: Databases,
  sa: InboundSa,
  source: Endpoint,
  nextHeader: number,
): XfrmCounterName | null {
  if (!sameEndpoint(sa.source, source)) return "XfrmInStateMismatch";
  const slot = { direction: "in", family: databases.family, remote: source } as const;
  const action = databases.policies.find(slot)?.action;
  if (action === undefined) return "XfrmInNoPols";
  if (action.kind !== "accept") return "XfrmInPolBlock";
  return nextHeader === payloadProtocol ? null : "XfrmInError";
}

function drop(counter: XfrmCounterName, header: EspHeader | null): Dropped {
  const spi = header === null ? null : (header.spi as Spi);
  return { kind: "dropped", counter, spi, sequence: header?.sequenceLow ?? null };
}
