/**
 * SAs on the wire: struct xfrm_usersa_info and its attributes, field by field. `SaEncoder` writes
 * the same bytes faster and is checked against this. No lifetimes are set: when a key goes is
 * Spindle's decision, never the kernel's.
 */
import { addressBytes, readAddress, writeAddress } from "./address.js";
import type { MessageBatch } from "./batch.js";
import {
  addressFamilyNumber,
  aeadName,
  icvBits,
  modeNumber,
  netlinkFlag,
  protocolEsp,
  saFlagEsn,
  structBytes,
  xfrmAttribute,
  xfrmMessage,
} from "./constants.js";
import type { ListedAead, ListedSa, XfrmSa, XfrmSaId } from "./model.js";
import { readAttributes, readLongWord, readWord, viewOf, type Attributes } from "./received.js";
import {
  appendEncapsulation,
  appendIfId,
  appendReplayWindow,
  familyOf,
  modeOf,
  readEncapsulation,
  readReplay,
  writeNoLimits,
  writeSaId,
} from "./structures.js";

/** Offsets in struct xfrm_usersa_info. */
export const saOffset = {
  selectorFamily: 40,
  id: 56,
  source: 80,
  limits: 96,
  bytes: 160,
  packets: 168,
  firstUsedAt: 184,
  reqid: 208,
  family: 212,
  mode: 214,
  legacyWindow: 215,
  flags: 216,
} as const;

/** `add` fails with EEXIST where the slot is taken; `update` needs it to be there. */
export type SaVerb = "add" | "update";

const verbs = {
  add: {
    type: xfrmMessage.newSa,
    flags: netlinkFlag.request | netlinkFlag.create | netlinkFlag.exclusive,
  },
  update: { type: xfrmMessage.updateSa, flags: netlinkFlag.request | netlinkFlag.replace },
} as const;

/** @param key AEAD key and salt (RFC 4106, 8.1); the caller wipes it, and the batch after sending */
export function appendSa(batch: MessageBatch, verb: SaVerb, sa: XfrmSa, key: Uint8Array): void {
  batch.beginMessage(verbs[verb].type, verbs[verb].flags);
  writeSaInfo(batch, batch.reserve(structBytes.saInfo), sa);
  appendAead(batch, key);
  if (sa.esn) appendReplayWindow(batch, sa.replayWindow);
  if (sa.encapsulation !== null) appendEncapsulation(batch, sa.encapsulation);
  appendIfId(batch, sa.ifId);
  batch.endMessage();
}

function writeSaInfo(batch: MessageBatch, start: number, sa: XfrmSa): void {
  const { bytes, view } = batch;
  const family = addressFamilyNumber[sa.family];
  view.setUint16(start + saOffset.selectorFamily, family, true);
  writeSaId(batch, start + saOffset.id, sa);
  writeAddress(bytes, start + saOffset.source, sa.family, sa.source);
  writeNoLimits(view, start + saOffset.limits);
  view.setUint32(start + saOffset.reqid, sa.reqid, true);
  view.setUint16(start + saOffset.family, family, true);
  bytes[start + saOffset.mode] = modeNumber[sa.mode];
  // With ESN the window stands in an attribute of its own, because one byte is too small for it.
  bytes[start + saOffset.legacyWindow] = sa.esn ? 0 : sa.replayWindow;
  bytes[start + saOffset.flags] = sa.esn ? saFlagEsn : 0;
}

/** struct xfrm_algo_aead: name 64, key length in bits, ICV length in bits, key. */
function appendAead(batch: MessageBatch, key: Uint8Array): void {
  const start = batch.reserveAttribute(xfrmAttribute.aead, structBytes.aead + key.length);
  for (let i = 0; i < aeadName.length; i += 1) batch.bytes[start + i] = aeadName.charCodeAt(i);
  batch.view.setUint32(start + 64, 8 * key.length, true);
  batch.view.setUint32(start + 68, icvBits, true);
  batch.bytes.set(key, start + structBytes.aead);
}

export function appendDeleteSa(batch: MessageBatch, id: XfrmSaId): void {
  appendSaId(batch, xfrmMessage.deleteSa, netlinkFlag.request, id);
}

/** Asks for one SA. */
export function appendGetSa(batch: MessageBatch, id: XfrmSaId): void {
  appendSaId(batch, xfrmMessage.getSa, netlinkFlag.request, id);
}

/** Asks for all ESP SAs, whoever made them. */
export function appendDumpSas(batch: MessageBatch): void {
  batch.beginMessage(xfrmMessage.getSa, netlinkFlag.request | netlinkFlag.dump);
  const start = batch.reserveAttribute(xfrmAttribute.protocolFilter, 1);
  batch.bytes[start] = protocolEsp;
  batch.endMessage();
}

/** struct xfrm_usersa_id: destination 16, SPI 4, family 2, protocol 1. */
function appendSaId(batch: MessageBatch, type: number, flags: number, id: XfrmSaId): void {
  batch.beginMessage(type, flags);
  const start = batch.reserve(structBytes.saId);
  writeAddress(batch.bytes, start, id.family, id.destination);
  batch.view.setUint32(start + addressBytes, id.spi);
  batch.view.setUint16(start + 20, addressFamilyNumber[id.family], true);
  batch.bytes[start + 22] = protocolEsp;
  batch.endMessage();
}

/** Payload of a dump, of an answer to `appendGetSa`, or of a notification. Null when it is too short. */
export function readSa(payload: Uint8Array): ListedSa | null {
  if (payload.length < structBytes.saInfo) return null;
  return readSaInfo(payload, readAttributes(payload, structBytes.saInfo));
}

export function readSaInfo(info: Uint8Array, attributes: Attributes): ListedSa {
  const view = viewOf(info);
  const family = familyOf(view.getUint16(saOffset.family, true));
  return {
    family,
    source: readAddress(info, saOffset.source, family),
    destination: readAddress(info, saOffset.id, family),
    spi: view.getUint32(saOffset.id + addressBytes),
    protocol: info[saOffset.id + addressBytes + 4]!,
    mode: modeOf(info[saOffset.mode]!),
    reqid: view.getUint32(saOffset.reqid, true),
    ifId: readWord(attributes.get(xfrmAttribute.ifId)),
    hasMark: attributes.has(xfrmAttribute.mark),
    esn: (info[saOffset.flags]! & saFlagEsn) !== 0,
    encapsulation: readEncapsulation(attributes.get(xfrmAttribute.encapsulation)),
    aead: readAead(attributes.get(xfrmAttribute.aead)),
    packets: Number(view.getBigUint64(saOffset.packets, true)),
    bytes: Number(view.getBigUint64(saOffset.bytes, true)),
    firstUsedAt: Number(view.getBigUint64(saOffset.firstUsedAt, true)),
    lastUsedAt: readLongWord(attributes.get(xfrmAttribute.lastUsed)),
    ...replayOf(info, attributes),
  };
}

/** Without the ESN structure the counters stand in XFRMA_REPLAY_VAL: sent, received, bitmap. */
function replayOf(
  info: Uint8Array,
  attributes: Attributes,
): Pick<ListedSa, "replayWindow" | "receivedSequence" | "sentSequence"> {
  const replay = readReplay(attributes.get(xfrmAttribute.replayEsn));
  if (replay !== null) return replay;
  const legacy = attributes.get(xfrmAttribute.replay);
  const view = legacy === undefined || legacy.length < structBytes.replay ? null : viewOf(legacy);
  return {
    replayWindow: info[saOffset.legacyWindow]!,
    sentSequence: view?.getUint32(0, true) ?? 0,
    receivedSequence: view?.getUint32(4, true) ?? 0,
  };
}

function readAead(bytes: Uint8Array | undefined): ListedAead | null {
  if (bytes === undefined || bytes.length < structBytes.aead) return null;
  const view = viewOf(bytes);
  const end = bytes.subarray(0, 64).indexOf(0);
  const name = String.fromCharCode(...bytes.subarray(0, end === -1 ? 64 : end));
  const keyBytes = Math.ceil(view.getUint32(64, true) / 8);
  return {
    name,
    icvBits: view.getUint32(68, true),
    key: bytes.subarray(structBytes.aead, structBytes.aead + keyBytes),
  };
}
