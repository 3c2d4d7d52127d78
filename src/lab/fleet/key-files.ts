/**
 * The lab as the one who distributes keys: makes each fleet key and writes it to every node's key
 * file, current and then next, as `spindle keyfile next` does; the old line goes when the old key
 * is retired everywhere.
 */
import { assert } from "../../core/assert.js";
import { nextKeyId, type KeyId, type KeyRing } from "../../core/key-id.js";
import { wipeLines, type KeyLine } from "../../core/keyfile/key-file.js";
import { generateLike, generateLine } from "../../adapters/keyfile/generate.js";
import { createKeyFile, replaceKeyFile } from "../../adapters/keyfile/write.js";

const ring: KeyRing = 255;
const firstKeyId = 1 as KeyId;

export class KeyFiles {
  readonly #paths: readonly string[];
  #lines: readonly KeyLine[] = [];

  constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** The newest key. */
  get keyId(): KeyId {
    return this.#newest().keyId;
  }

  /** The id that `addNext` will give. */
  get nextKeyId(): KeyId {
    return nextKeyId(this.keyId, ring);
  }

  /** Writes the first key of the fleet to every node. */
  async create(): Promise<void> {
    this.#lines = [generateLine(firstKeyId, "aes-gcm-128")];
    await Promise.all(this.#paths.map((path) => createKeyFile(path, this.#lines)));
  }

  /** Adds a new key behind the current one, on every node. */
  async addNext(): Promise<void> {
    const current = this.#newest();
    const next = generateLike(current, this.nextKeyId);
    this.#lines = [current, next];
    await this.#write();
  }

  /** Takes all lines but the newest away, on every node. */
  async dropOld(): Promise<void> {
    const newest = this.#newest();
    wipeLines(this.#lines.filter((line) => line !== newest));
    this.#lines = [newest];
    await this.#write();
  }

  wipe(): void {
    wipeLines(this.#lines);
  }

  async #write(): Promise<void> {
    await Promise.all(this.#paths.map((path) => replaceKeyFile(path, this.#lines)));
  }

  #newest(): KeyLine {
    const newest = this.#lines.at(-1);
    assert(newest !== undefined, "the lab has made a key");
    return newest;
  }
}
