/**
 * Messages as the kernel sends them, made from those that the codec writes: the structures are the same, their order is that
 * of net/xfrm/xfrm_user.c. Offsets are written out from linux/xfrm.h, so that a wrong one in the codec shows.
 */
import assert from "node:assert/strict";
import { MessageBatch } from "../../../src/adapters/netlink/codec/batch.js";
import { eachMessage, readAttributes, type ReceivedMessage } from "../../../src/adapters/netlink/codec/received.js";

const saBytes = 224;
const policyBytes = 168;
const attribute = { sa: 6, policy: 7, replay: 10, lastUsed: 15, replayEsn: 23 } as const;

/** The one message that `append` writes. */
export function written(append: (batch: MessageBatch) => void): ReceivedMessage {
  const batch = new MessageBatch();
  append(batch);
  const messages: ReceivedMessage[] = [];
  assert.ok(eachMessage(batch.content(), (message) => messages.push(message)));
  assert.equal(messages.length, 1);
  return messages[0]!;
}

export function told(type: number, ...parts: readonly Uint8Array[]): ReceivedMessage {
  return { type, flags: 0, sequence: 0, portId: 0, payload: Buffer.concat(parts) };
}

/** struct xfrm_usersa_id, XFRMA_SA, and the attributes of the SA. */
export function saDeletion({ payload }: ReceivedMessage): ReceivedMessage {
  const id = new Uint8Array(24);
  id.set(payload.subarray(56, 76));
  id.set(payload.subarray(212, 214), 20);
  id[22] = payload[76]!;
  return told(0x11, id, attributeOf(attribute.sa, payload.subarray(0, saBytes)), payload.subarray(saBytes));
}

/** struct xfrm_userpolicy_id, XFRMA_POLICY, and the attributes of the policy. */
export function policyDeletion({ payload }: ReceivedMessage): ReceivedMessage {
  const id = new Uint8Array(64);
  id.set(payload.subarray(0, 56));
  id[60] = payload[160]!;
  return told(0x14, id, attributeOf(attribute.policy, payload.subarray(0, policyBytes)), payload.subarray(policyBytes));
}

/** struct xfrm_user_expire. */
export const saExpiry = (message: ReceivedMessage, hard: boolean): ReceivedMessage => expiry(0x18, message, saBytes, hard);

/** struct xfrm_user_polexpire. */
export const policyExpiry = (message: ReceivedMessage, hard: boolean): ReceivedMessage =>
  expiry(0x1b, message, policyBytes, hard);

function expiry(type: number, { payload }: ReceivedMessage, infoBytes: number, hard: boolean): ReceivedMessage {
  return told(type, payload.subarray(0, infoBytes), Uint8Array.of(hard ? 1 : 0, 0, 0, 0, 0, 0, 0, 0), payload.subarray(infoBytes));
}

export interface Counters {
  readonly packets: number;
  readonly bytes: number;
  readonly firstUsedAt: number;
  /** Told from Linux 6.2 on. */
  readonly lastUsedAt: number | null;
  /** Below 2^32 for an SA without ESN. */
  readonly receivedSequence: number;
  readonly sentSequence: number;
}

/** The SA after some traffic: struct xfrm_lifetime_cur, and the sequence numbers in the attribute that the SA's kind has. */
export function withCounters({ type, payload: before }: ReceivedMessage, counters: Counters): ReceivedMessage {
  const payload = Uint8Array.from(before);
  const view = new DataView(payload.buffer);
  view.setBigUint64(160, BigInt(counters.bytes), true);
  view.setBigUint64(168, BigInt(counters.packets), true);
  view.setBigUint64(184, BigInt(counters.firstUsedAt), true);
  const { receivedSequence: received, sentSequence: sent } = counters;
  const esn = readAttributes(payload, saBytes).get(attribute.replayEsn);
  const { lastUsedAt } = counters;
  const lastUsed = lastUsedAt === null ? [] : [attributeOf(attribute.lastUsed, longWord(lastUsedAt))];
  if (esn === undefined) return told(type, payload, ...lastUsed, attributeOf(attribute.replay, words(sent, received, 0)));
  esn.set(words(sent, received, sent / 2 ** 32, received / 2 ** 32), 4);
  return told(type, payload, ...lastUsed);
}

function longWord(value: number): Uint8Array {
  return new Uint8Array(BigUint64Array.of(BigInt(value)).buffer);
}

export function attributeOf(type: number, content: Uint8Array): Uint8Array {
  const padding = new Uint8Array(-content.length & 3);
  return Buffer.concat([new Uint8Array(Uint16Array.of(4 + content.length, type).buffer), content, padding]);
}

/** Each cut to 32 bits. */
export function words(...numbers: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(numbers, (one) => Math.floor(one) % 2 ** 32).buffer);
}
