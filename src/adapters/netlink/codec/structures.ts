/**
 * The structures that SAs and policies share: selector, id, lifetime limits, UDP encapsulation,
 * ESN replay state. Offsets follow linux/xfrm.h.
 */
import { addressBytes, readAddress, writeAddress } from "./address.js";
import type { MessageBatch } from "./batch.js";
import {
  addressFamilyNumber,
  encapsulationEspInUdp,
  modeNumber,
  protocolEsp,
  structBytes,
  xfrmAttribute,
} from "./constants.js";
import type { Family, ListedSa, Mode, PortMatch, UdpPorts, XfrmSelector } from "./model.js";
import { viewOf } from "./received.js";

export function familyOf(number: number): Family {
  return number === addressFamilyNumber.ipv6 ? "ipv6" : "ipv4";
}

export function modeOf(number: number): Mode | null {
  if (number === modeNumber.transport) return "transport";
  return number === modeNumber.tunnel ? "tunnel" : null;
}

/** struct xfrm_id: destination 16, SPI 4 (network order), protocol 1. */
export function writeSaId(batch: MessageBatch, start: number, id: IdFields): void {
  writeAddress(batch.bytes, start, id.family, id.destination);
  batch.view.setUint32(start + addressBytes, id.spi);
  batch.bytes[start + addressBytes + 4] = protocolEsp;
}

interface IdFields {
  readonly family: Family;
  readonly destination: string;
  readonly spi: number;
}

/** struct xfrm_selector. */
export function writeSelector(batch: MessageBatch, start: number, selector: XfrmSelector): void {
  const { bytes, view } = batch;
  const { family, source, destination } = selector;
  writeAddress(bytes, start, family, destination.address);
  writeAddress(bytes, start + 16, family, source.address);
  writePort(view, start + 32, selector.destinationPort);
  writePort(view, start + 36, selector.sourcePort);
  view.setUint16(start + 40, addressFamilyNumber[family], true);
  bytes[start + 42] = destination.length;
  bytes[start + 43] = source.length;
  bytes[start + 44] = selector.protocol;
}

/** Port and mask, both in network order. */
function writePort(view: DataView, start: number, port: PortMatch): void {
  view.setUint16(start, port === "any" ? 0 : port);
  view.setUint16(start + 2, port === "any" ? 0 : 0xffff);
}

export function readSelector(bytes: Uint8Array, start: number): XfrmSelector {
  const view = viewOf(bytes);
  const family = familyOf(view.getUint16(start + 40, true));
  return {
    family,
    destination: { address: readAddress(bytes, start, family), length: bytes[start + 42]! },
    source: { address: readAddress(bytes, start + 16, family), length: bytes[start + 43]! },
    protocol: bytes[start + 44]!,
    destinationPort: readPort(view, start + 32),
    sourcePort: readPort(view, start + 36),
  };
}

function readPort(view: DataView, start: number): PortMatch {
  return view.getUint16(start + 2) === 0 ? "any" : view.getUint16(start);
}

/** struct xfrm_lifetime_cfg without limits: XFRM_INF for bytes and packets, 0 for times. */
export function writeNoLimits(view: DataView, start: number): void {
  for (let at = start; at < start + 32; at += 4) view.setUint32(at, 0xffff_ffff, true);
}

/** struct xfrm_encap_tmpl as an attribute: type 2, ports in network order, original address. */
export function appendEncapsulation(batch: MessageBatch, ports: UdpPorts): void {
  const start = batch.reserveAttribute(xfrmAttribute.encapsulation, structBytes.encapsulation);
  batch.view.setUint16(start, encapsulationEspInUdp, true);
  batch.view.setUint16(start + 2, ports.source);
  batch.view.setUint16(start + 4, ports.destination);
}

export function readEncapsulation(bytes: Uint8Array | undefined): ListedSa["encapsulation"] {
  if (bytes === undefined || bytes.length < structBytes.encapsulation) return null;
  const view = viewOf(bytes);
  return { type: view.getUint16(0, true), source: view.getUint16(2), destination: view.getUint16(4) };
}

/** struct xfrm_replay_state_esn: bitmap words, then the counters, zero for a new SA; the window in packets. */
export function appendReplayWindow(batch: MessageBatch, windowPackets: number): void {
  const words = Math.ceil(windowPackets / 32);
  const start = batch.reserveAttribute(xfrmAttribute.replayEsn, structBytes.replayEsn + 4 * words);
  batch.view.setUint32(start, words, true);
  batch.view.setUint32(start + 20, windowPackets, true);
}

export interface ReplayFields {
  readonly replayWindow: number;
  readonly receivedSequence: number;
  readonly sentSequence: number;
}

export function readReplay(bytes: Uint8Array | undefined): ReplayFields | null {
  if (bytes === undefined || bytes.length < structBytes.replayEsn) return null;
  const view = viewOf(bytes);
  const word = (at: number): number => view.getUint32(at, true);
  return {
    sentSequence: word(12) * 2 ** 32 + word(4),
    receivedSequence: word(16) * 2 ** 32 + word(8),
    replayWindow: word(20),
  };
}

export function appendIfId(batch: MessageBatch, ifId: number | null): void {
  if (ifId === null) return;
  const start = batch.reserveAttribute(xfrmAttribute.ifId, 4);
  batch.view.setUint32(start, ifId, true);
}
