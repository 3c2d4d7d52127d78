/**
 * The fleet keys of one agent: what its key file offers, put on a keyring. Invariants: a reading is
 * taken whole or not at all, so the running keys stay whatever happens to the file; a key id never
 * changes its bytes while a key of that id is held; the same content is no news. It does not decide
 * when a key is used or retired.
 */
import { createHash } from "node:crypto";
import { assert } from "../../core/assert.js";
import { includesKey, sameKey, type KeyIdentity, type KeyRing } from "../../core/key-id.js";
import { wipeKey } from "../../core/keyfile/key-file.js";
import { limits } from "../../core/limits.js";
import type { Stop } from "../../ports/failure.js";
import type { KeyFileReading, KeystorePort } from "../../ports/keystore.js";
import { dropCandidates, makeCandidate, type Candidate, type Keyring } from "../crypto/keyring.js";
import { toFailure } from "../port-error.js";
import { loadRunnable, type RunnableLine } from "./load.js";
import { watchPath } from "./path-watch.js";
import { describeOpenMode, readKeyFile, type KeyFileContent } from "./read.js";

export interface KeystoreOptions {
  readonly path: string;
  readonly ring: KeyRing;
  /** Refuse a file that others can use, instead of warning. */
  readonly strictPermissions: boolean;
  /** Codes: KEYFILE_PERMISSIONS, KEYFILE_KEY_REUSED, KEYFILE_WATCH_DEGRADED. Once per content. */
  readonly warn: (code: string, message: string) => void;
  readonly pollMs?: number;
  readonly settleMs?: number;
}

const otherBytes = "KEYFILE_SAME_ID_OTHER_BYTES";

export class Keystore implements KeystorePort {
  readonly #keyring: Keyring;
  readonly #options: KeystoreOptions;
  /** What the last valid reading offered. */
  #offered: readonly KeyIdentity[] = [];
  /** Forgotten while the file still offered them: wiped when it no longer does. */
  #retired: readonly KeyIdentity[] = [];
  #last: KeyFileReading | null = null;
  /** Names content and permissions that were already read; null to read them again. */
  #lastSeen: string | null = null;
  #listener: ((reading: KeyFileReading) => void) | null = null;
  #reading = false;
  #changedWhileReading = false;

  /** The keyring stays the caller's, who wipes it at the end. */
  constructor(keyring: Keyring, options: KeystoreOptions) {
    this.#keyring = keyring;
    this.#options = options;
  }

  /**
   * One watch at a time. The first reading comes as soon as the file was read, even if it is bad.
   */
  watch(read: (reading: KeyFileReading) => void): Stop {
    assert(this.#listener === null, "a key file has one reader");
    this.#listener = read;
    this.#last = null;
    this.#lastSeen = null;
    const { path, warn } = this.#options;
    const stop = watchPath({
      path,
      pollMs: this.#options.pollMs ?? limits.keyFilePollMsDefault,
      settleMs: this.#options.settleMs ?? limits.keyFileSettleMs,
      changed: () => this.#refresh(),
      degraded: (reason) => warn("KEYFILE_WATCH_DEGRADED", `${path} is only polled: ${reason}`),
    });
    this.#refresh();
    return () => {
      stop();
      this.#listener = null;
    };
  }

  forget(key: KeyIdentity): void {
    if (includesKey(this.#offered, key)) {
      if (!includesKey(this.#retired, key)) this.#retired = [...this.#retired, key];
    } else {
      this.#keyring.forget(key);
    }
    // What was refused because of this key may be good now.
    if (this.#last?.kind !== "invalid" || this.#last.code !== otherBytes) return;
    this.#lastSeen = null;
    this.#refresh();
  }

  #refresh(): void {
    if (this.#listener === null) return;
    if (this.#reading) {
      this.#changedWhileReading = true;
      return;
    }
    this.#reading = true;
    void this.#readOnce().finally(() => {
      this.#reading = false;
      if (!this.#changedWhileReading) return;
      this.#changedWhileReading = false;
      this.#refresh();
    });
  }

  async #readOnce(): Promise<void> {
    const content = await readContent(this.#options.path);
    try {
      const seen = describeContent(content);
      if (this.#listener === null || seen === this.#lastSeen) return;
      this.#lastSeen = seen;
      this.#publish("code" in content ? { kind: "invalid", ...content } : this.#take(content));
    } finally {
      wipeContent(content);
    }
  }

  #publish(reading: KeyFileReading): void {
    const isNews = this.#last === null || !isSameOffer(this.#last, reading);
    this.#last = reading;
    if (isNews) this.#listener?.(reading);
  }

  #take({ bytes, mode }: KeyFileContent): KeyFileReading {
    const { path, ring, strictPermissions, warn } = this.#options;
    const openMode = describeOpenMode(path, mode);
    if (openMode !== null && strictPermissions) {
      return { kind: "invalid", code: "KEYFILE_PERMISSIONS", message: openMode };
    }
    if (openMode !== null) warn("KEYFILE_PERMISSIONS", openMode);
    const loaded = loadRunnable(bytes, path, ring);
    return loaded.ok ? this.#offer(loaded.value) : { kind: "invalid", ...loaded.error };
  }

  #offer(lines: readonly RunnableLine[]): KeyFileReading {
    const candidates = lines.map(({ keyId, key }) => makeCandidate(keyId, key));
    for (const { key } of lines) wipeKey(key);
    const clash = candidates.find((candidate) => this.#isOtherBytes(candidate));
    if (clash !== undefined) {
      dropCandidates(candidates);
      return { kind: "invalid", code: otherBytes, message: this.#describeClash(clash) };
    }
    const keys = candidates.map((candidate) => candidate.identity);
    this.#forgetRetired(keys);
    for (const candidate of candidates) this.#add(candidate);
    this.#offered = keys;
    return { kind: "valid", keys };
  }

  #isOtherBytes({ identity }: Candidate): boolean {
    const held = this.#keyring.identityOf(identity.keyId);
    return held !== null && !sameKey(held, identity) && !includesKey(this.#retired, held);
  }

  #describeClash({ identity }: Candidate): string {
    return (
      `${this.#options.path}: key id ${identity.keyId} has other bytes than the key of that id ` +
      'that is in use; give the new key the next id ("spindle keyfile next"), or restore the line'
    );
  }

  #forgetRetired(offered: readonly KeyIdentity[]): void {
    const gone = this.#retired.filter((key) => !includesKey(offered, key));
    for (const key of gone) this.#keyring.forget(key);
    this.#retired = this.#retired.filter((key) => includesKey(offered, key));
  }

  #add(candidate: Candidate): void {
    const { keyId, check } = candidate.identity;
    const twin = this.#keyring.identities().find((held) => held.check === check);
    if (twin !== undefined && twin.keyId !== keyId) {
      const message =
        `${this.#options.path}: key id ${keyId} has the bytes of key id ${twin.keyId}: ` +
        "rotating to it replaces nothing; generate a new key";
      this.#options.warn("KEYFILE_KEY_REUSED", message);
    }
    const taken = this.#keyring.offer(candidate);
    assert(taken, "clashing keys were refused before");
  }
}

/** A failure to read is content too: it is news once. */
type Content = KeyFileContent | { readonly code: string; readonly message: string };

async function readContent(path: string): Promise<Content> {
  try {
    return await readKeyFile(path);
  } catch (cause) {
    const { code, message } = toFailure(cause, "KEYFILE_UNREADABLE");
    return { code, message };
  }
}

function wipeContent(content: Content): void {
  if ("bytes" in content) content.bytes.fill(0);
}

function describeContent(content: Content): string {
  if ("code" in content) return content.code;
  const digest = createHash("sha256").update(content.bytes).digest("hex");
  return `${digest} ${content.mode}`;
}

/** Every bad content is news; the same keys in other words are not. */
function isSameOffer(one: KeyFileReading, other: KeyFileReading): boolean {
  if (one.kind !== "valid" || other.kind !== "valid") return false;
  return (
    one.keys.length === other.keys.length &&
    one.keys.every((key, index) => sameKey(key, other.keys[index] ?? null))
  );
}
