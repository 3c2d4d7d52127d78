/**
 * What a probe and its answer look like: a mark, which of the two it is, and a nonce that says whose answer it is. Both are as
 * long as each other, so that nobody is answered with more than was sent. It proves a path and nothing else: that the packet
 * was decrypted is what XFRM's policies say.
 */
import { randomBytes } from "node:crypto";

const mark = Buffer.from("spindle probe 1", "ascii");
const [request, answer] = [0x3f, 0x21];
const nonceBytes = 16;
export const probeBytes = mark.length + 1 + nonceBytes;

export function makeProbe(): Buffer {
  return Buffer.concat([mark, Buffer.of(request), randomBytes(nonceBytes)]);
}

/** Null for what is no probe: it is not answered. */
export function answerTo(message: Uint8Array): Buffer | null {
  if (message.length !== probeBytes || message[mark.length] !== request) return null;
  if (mark.compare(message, 0, mark.length) !== 0) return null;
  const reply = Buffer.from(message);
  reply[mark.length] = answer;
  return reply;
}

export function isAnswerTo(probe: Uint8Array, message: Uint8Array): boolean {
  return answerTo(probe)?.equals(message) === true;
}
