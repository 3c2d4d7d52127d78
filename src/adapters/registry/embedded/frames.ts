/** Messages on a byte stream: four bytes of length (big endian), then JSON in UTF-8. */
import { assert } from "../../../core/assert.js";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";

const headerBytes = 4;

export function encodeFrame(text: string): Buffer {
  const length = Buffer.byteLength(text);
  assert(length <= limits.registryFrameBytesMax, `a frame of ${length} bytes fits`);
  const frame = Buffer.allocUnsafe(headerBytes + length);
  frame.writeUInt32BE(length, 0);
  frame.write(text, headerBytes);
  return frame;
}

/** Cuts a stream into messages. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  /**
   * The messages that are complete with `chunk`.
   * @throws PortError REGISTRY_PROTOCOL when a message is too long or not JSON: the stream is of no
   * more use
   */
  read(chunk: Buffer): readonly unknown[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const messages: unknown[] = [];
    while (this.#rest.length >= headerBytes) {
      const length = this.#rest.readUInt32BE(0);
      if (length > limits.registryFrameBytesMax) throw protocolError(`${length} bytes at once`);
      if (this.#rest.length < headerBytes + length) break;
      messages.push(parse(this.#rest.toString("utf8", headerBytes, headerBytes + length)));
      this.#rest = this.#rest.subarray(headerBytes + length);
    }
    return messages;
  }
}

export function protocolError(what: string): PortError {
  const message = `the other end does not speak the registry's protocol: ${what}`;
  return new PortError("REGISTRY_PROTOCOL", message, false);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw protocolError("a message that is not JSON");
  }
}
