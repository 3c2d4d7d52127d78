/** A keystore on a real key file in a directory of its own, and waits that end with an event. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Keyring } from "../../src/adapters/crypto/keyring.js";
import { Keystore, type KeystoreOptions } from "../../src/adapters/keyfile/keystore.js";
import type { KeyIdentity } from "../../src/core/key-id.js";
import type { KeyRef } from "../../src/core/sa.js";
import type { KeyFileReading } from "../../src/ports/keystore.js";

export const hex = (fill: string): string => fill.repeat(20);
export const line = (keyId: number, fill: string): string =>
  `${keyId}+ rfc4106(gcm(aes)) ${hex(fill)} 128\n`;

export interface KeystoreFixture {
  readonly directory: string;
  readonly path: string;
  readonly keyring: Keyring;
  readonly store: Keystore;
  /** Codes of warnings. */
  readonly warnings: Queue<string>;
  /** Starts the watch. Each call of the result waits for one more reading. */
  start(): () => Promise<KeyFileReading>;
  canDerive(keyId: number): boolean;
}

/** The poll is off unless a test is about it, so what is seen was seen by the watch. */
const never = 24 * 3_600_000;

export async function openKeystore(
  t: TestContext,
  options: Partial<KeystoreOptions> = {},
): Promise<KeystoreFixture> {
  const directory = await fs.mkdtemp(join(tmpdir(), "spindle-keys-"));
  t.after(() => fs.rm(directory, { recursive: true }));
  const path = options.path ?? join(directory, "keys");
  const keyring = new Keyring();
  const warnings = new Queue<string>();
  const store = new Keystore(keyring, {
    path,
    ring: 255,
    strictPermissions: false,
    warn: (code) => warnings.add(code),
    pollMs: never,
    settleMs: 5,
    ...options,
  });
  const start = (): (() => Promise<KeyFileReading>) => {
    const readings = new Queue<KeyFileReading>();
    t.after(store.watch((reading) => readings.add(reading)));
    return () => readings.next();
  };
  const canDerive = (keyId: number): boolean => keyring.derive(saOf(keyId)) !== null;
  return { directory, path, keyring, store, warnings, start, canDerive };
}

/** What has come, one by one; a wait for what has not. */
export class Queue<T> {
  readonly arrived: T[] = [];
  #waiting: ((item: T) => void) | null = null;

  add(item: T): void {
    if (this.#waiting === null) this.arrived.push(item);
    else this.#waiting(item);
    this.#waiting = null;
  }

  next(): Promise<T> {
    const first = this.arrived.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

function saOf(keyId: number): KeyRef {
  const end = { name: "a", index: 1, incarnationId: "1".repeat(32) };
  return { keyId, from: end, to: { ...end, name: "b" }, family: "ipv4", mode: "tunnel" } as KeyRef;
}

export function keysOf(reading: KeyFileReading): readonly KeyIdentity[] {
  assert.ok(reading.kind === "valid", JSON.stringify(reading));
  return reading.keys;
}

export function idsOf(reading: KeyFileReading): readonly number[] {
  return keysOf(reading).map((key) => key.keyId);
}

export function codeOf(reading: KeyFileReading): string {
  assert.ok(reading.kind === "invalid", JSON.stringify(reading));
  const told = reading.message.replaceAll(tmpdir(), "");
  assert.doesNotMatch(told, /[0-9a-f]{8}/, "no key in a message");
  return reading.code;
}

/** In place: a reader may see it empty in between. */
export const write = (path: string, text: string): Promise<void> =>
  fs.writeFile(path, text, { mode: 0o600 });

export async function replace(path: string, text: string, mode = 0o600): Promise<void> {
  await write(`${path}.new`, text);
  await fs.chmod(`${path}.new`, mode);
  await fs.rename(`${path}.new`, path);
}

/** The next reading, or the one after it when it has this code. */
export async function past(
  code: string,
  next: () => Promise<KeyFileReading>,
): Promise<KeyFileReading> {
  const reading = await next();
  return reading.kind === "invalid" && reading.code === code ? next() : reading;
}
