/**
 * Key bytes in one place that can be wiped. Printing a secret in any way shows a fingerprint, never
 * the bytes.
 */
import { createHash } from "node:crypto";
import { inspect } from "node:util";
import { assert } from "../../core/assert.js";

export class Secret {
  #bytes: Buffer | null;

  /** Takes the buffer over: the caller must not keep or reuse it. */
  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  /** The bytes themselves, for a cipher or a key derivation; never store or print them. */
  reveal(): Buffer {
    assert(this.#bytes !== null, "a wiped secret is not used");
    return this.#bytes;
  }

  get isWiped(): boolean {
    return this.#bytes === null;
  }

  wipe(): void {
    this.#bytes?.fill(0);
    this.#bytes = null;
  }

  /** Eight hex digits of a hash: enough to tell two keys apart in a log, useless to guess one. */
  fingerprint(): string {
    if (this.#bytes === null) return "wiped";
    const hash = createHash("sha256").update("spindle fingerprint").update(this.#bytes);
    return hash.digest("hex").slice(0, 8);
  }

  toString(): string {
    return `secret:${this.fingerprint()}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}
