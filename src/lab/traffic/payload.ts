/**
 * What the lab's packets carry: which stream they belong to and their place in it. A stream is all
 * packets of one run of a dataplane to one receiver; sequence numbers start at 0 and have no holes,
 * so a missing number is a lost packet.
 */

export interface PayloadHeader {
  /** Index of the sending node, from 0. */
  readonly sender: number;
  readonly receiver: number;
  /** Which run of the sender's dataplane: unique in a lab. */
  readonly instance: number;
  readonly sequence: number;
  /** Monotonic milliseconds. */
  readonly sentMs: number;
}

/** Bytes of a packet before ESP, padding included. */
export const payloadBytes = 200;
const headerBytes = 24;
/** "SPLB", so that nothing else on the port is taken for a packet of ours. */
const magic = 0x53_50_4c_42;

export function writePayload(header: PayloadHeader): Buffer {
  const payload = Buffer.alloc(payloadBytes);
  payload.writeUInt32BE(magic, 0);
  payload.writeUInt16BE(header.sender, 4);
  payload.writeUInt16BE(header.receiver, 6);
  payload.writeUInt32BE(header.instance, 8);
  payload.writeUInt32BE(header.sequence, 12);
  payload.writeDoubleBE(header.sentMs, 16);
  return payload;
}

/** Null for what is not one of the lab's packets. */
export function readPayload(payload: Buffer): PayloadHeader | null {
  if (payload.length < headerBytes || payload.readUInt32BE(0) !== magic) return null;
  return {
    sender: payload.readUInt16BE(4),
    receiver: payload.readUInt16BE(6),
    instance: payload.readUInt32BE(8),
    sequence: payload.readUInt32BE(12),
    sentMs: payload.readDoubleBE(16),
  };
}
