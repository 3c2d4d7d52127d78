/**
 * Frames of the control protocol: a JSON header and a binary attachment, so that key bytes are
 * never part of a text.
 *
 *     length of all that follows (4) | length of the header (4) | header, UTF-8 JSON | attachment
 *
 * Invariant: received bytes are zeroed before `push` returns, but for an unfinished frame. Frames
 * have no meaning here.
 */
import type { Socket } from "node:net";
import { assert } from "../../core/assert.js";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";

export interface Frame {
  /** Parsed JSON, not yet checked. */
  readonly header: unknown;
  /** Valid only while the frame is being delivered, then zeroed: copy what must stay. */
  readonly attachment: Buffer;
}

const lengthBytes = 4;
const prefixBytes = 2 * lengthBytes;
export const noAttachment = Buffer.alloc(0);

/**
 * Writes one frame. `written` is called when the attachment is no longer needed, be it sent or
 * lost; zero it then.
 * @returns false when the socket's buffer is full, as `socket.write` does.
 */
export function writeFrame(
  socket: Socket,
  header: object,
  attachment: Buffer,
  written?: () => void,
): boolean {
  const head = encodeHead(header, attachment.length);
  socket.cork();
  socket.write(head);
  const hasRoom = socket.write(attachment, () => written?.());
  socket.uncork();
  return hasRoom;
}

function encodeHead(header: object, attachmentBytes: number): Buffer {
  const json = Buffer.from(JSON.stringify(header), "utf8");
  const bytes = lengthBytes + json.length + attachmentBytes;
  assert(
    bytes <= limits.controlFrameBytesMax,
    `a control frame of ${bytes} bytes is within the limit`,
  );
  const prefix = Buffer.alloc(prefixBytes);
  prefix.writeUInt32BE(bytes, 0);
  prefix.writeUInt32BE(json.length, lengthBytes);
  return Buffer.concat([prefix, json]);
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  readonly #deliver: (frame: Frame) => void;
  #buffer = Buffer.alloc(64 * 1024);
  #filled = 0;

  constructor(deliver: (frame: Frame) => void) {
    this.#deliver = deliver;
  }

  /**
   * Takes `chunk` over and zeroes it. @throws PortError `CONTROL_PROTOCOL` for what is no frame;
   * then stop reading.
   */
  push(chunk: Buffer): void {
    this.#append(chunk);
    chunk.fill(0);
    let start = 0;
    for (;;) {
      const end = frameEnd(this.#buffer.subarray(start, this.#filled));
      if (end === null) break;
      this.#deliver(decode(this.#buffer.subarray(start, start + end)));
      start += end;
    }
    this.#discard(start);
  }

  /** Zeroes what is left of an unfinished frame. */
  wipe(): void {
    this.#buffer.fill(0);
    this.#filled = 0;
  }

  #append(chunk: Buffer): void {
    const needed = this.#filled + chunk.length;
    if (needed > this.#buffer.length) {
      const larger = Buffer.alloc(Math.max(needed, 2 * this.#buffer.length));
      this.#buffer.copy(larger, 0, 0, this.#filled);
      this.#buffer.fill(0);
      this.#buffer = larger;
    }
    chunk.copy(this.#buffer, this.#filled);
    this.#filled = needed;
  }

  #discard(bytes: number): void {
    if (bytes === 0) return;
    this.#buffer.copyWithin(0, bytes, this.#filled);
    this.#buffer.fill(0, this.#filled - bytes, this.#filled);
    this.#filled -= bytes;
  }
}

/** Length of the first frame in `bytes`, null while it is not complete. */
function frameEnd(bytes: Buffer): number | null {
  if (bytes.length < prefixBytes) return null;
  const length = bytes.readUInt32BE(0);
  const headerBytes = bytes.readUInt32BE(lengthBytes);
  if (length > limits.controlFrameBytesMax || headerBytes > length - lengthBytes) {
    throw new PortError(
      "CONTROL_PROTOCOL",
      `a control frame cannot have the lengths ${length}, ${headerBytes}`,
      true,
    );
  }
  return bytes.length >= lengthBytes + length ? lengthBytes + length : null;
}

function decode(frame: Buffer): Frame {
  const headerEnd = prefixBytes + frame.readUInt32BE(lengthBytes);
  const text = frame.toString("utf8", prefixBytes, headerEnd);
  try {
    return { header: JSON.parse(text), attachment: frame.subarray(headerEnd) };
  } catch (cause) {
    throw new PortError("CONTROL_PROTOCOL", "the header of a control frame is not JSON", true, {
      cause,
    });
  }
}
