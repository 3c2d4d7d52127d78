/**
 * The keystore on real files. The poll is off unless a test is about it, so what is seen was seen
 * by the watch. Waits end with an event, never with time.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { renameSync, watch } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { KeyIdentity } from "../../core/key-id.js";
import type { KeyRef } from "../../core/sa.js";
import type { KeyFileReading } from "../../ports/keystore.js";
import { Keyring } from "../crypto/keyring.js";
import { Keystore, type KeystoreOptions } from "./keystore.js";

const hex = (fill: string): string => fill.repeat(20);
const line = (keyId: number, fill: string): string =>
  `${keyId}+ rfc4106(gcm(aes)) ${hex(fill)} 128\n`;

interface Fixture {
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

const never = 24 * 3_600_000;

async function fixture(t: TestContext, options: Partial<KeystoreOptions> = {}): Promise<Fixture> {
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
class Queue<T> {
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

function keysOf(reading: KeyFileReading): readonly KeyIdentity[] {
  assert.ok(reading.kind === "valid", JSON.stringify(reading));
  return reading.keys;
}

function idsOf(reading: KeyFileReading): readonly number[] {
  return keysOf(reading).map((key) => key.keyId);
}

function codeOf(reading: KeyFileReading): string {
  assert.ok(reading.kind === "invalid", JSON.stringify(reading));
  assert.doesNotMatch(reading.message, /[0-9a-f]{8}/, "no key in a message");
  return reading.code;
}

/** In place: a reader may see it empty in between. */
const write = (path: string, text: string): Promise<void> =>
  fs.writeFile(path, text, { mode: 0o600 });

async function replace(path: string, text: string, mode = 0o600): Promise<void> {
  await write(`${path}.new`, text);
  await fs.chmod(`${path}.new`, mode);
  await fs.rename(`${path}.new`, path);
}

/** The next reading, or the one after it when it has this code. */
async function past(code: string, next: () => Promise<KeyFileReading>): Promise<KeyFileReading> {
  const reading = await next();
  return reading.kind === "invalid" && reading.code === code ? next() : reading;
}

test("keystore: the first reading offers the keys of the file, in its order", async (t) => {
  const { path, start, canDerive, warnings } = await fixture(t);
  await write(path, line(3, "11") + line(4, "22"));
  const next = start();
  assert.deepEqual(idsOf(await next()), [3, 4]);
  assert.deepEqual([canDerive(3), canDerive(4), canDerive(5)], [true, true, false]);
  assert.deepEqual(warnings.arrived, []);
});

test("keystore: a file replaced, or written in place, is read each time", async (t) => {
  const { path, start } = await fixture(t);
  await write(path, line(3, "11"));
  const next = start();
  assert.deepEqual(idsOf(await next()), [3]);
  await replace(path, line(3, "11") + line(4, "22"));
  assert.deepEqual(idsOf(await next()), [3, 4]);
  await write(path, line(4, "22"));
  assert.deepEqual(idsOf(await past("KEYFILE_EMPTY", next)), [4]);
  await replace(path, line(4, "22") + line(5, "33"));
  assert.deepEqual(idsOf(await next()), [4, 5]);
});

/** As kubelet mounts a Secret: keys -> ..data/keys, ..data -> ..N/. */
async function swapSecret(directory: string, number: number, text: string): Promise<void> {
  await fs.mkdir(join(directory, `..${number}`));
  await write(join(directory, `..${number}`, "keys"), text);
  await fs.symlink(`..${number}`, join(directory, "..data_tmp"));
  await fs.rename(join(directory, "..data_tmp"), join(directory, "..data"));
  await fs.rm(join(directory, `..${number - 1}`), { recursive: true, force: true });
}

test("keystore: a mounted Secret is seen at every swap, the second and third too", async (t) => {
  const { directory, path, start } = await fixture(t);
  await swapSecret(directory, 1, line(3, "11"));
  await fs.symlink("..data/keys", path);
  const next = start();
  assert.deepEqual(idsOf(await next()), [3]);
  for (const number of [2, 3, 4]) {
    await swapSecret(directory, number, line(number + 2, `${number}${number}`));
    assert.deepEqual(idsOf(await next()), [number + 2]);
  }
});

test("keystore: two swaps at once end with the newest", async (t) => {
  const { directory, path, start } = await fixture(t);
  await swapSecret(directory, 1, line(3, "11"));
  await fs.symlink("..data/keys", path);
  const next = start();
  await next();
  await swapSecret(directory, 2, line(4, "22"));
  await swapSecret(directory, 3, line(5, "33"));
  let ids = idsOf(await next());
  if (ids[0] === 4) ids = idsOf(await next());
  assert.deepEqual(ids, [5]);
});

test("keystore: behind a link, changes in the other directory are seen", async (t) => {
  const { directory, path, start } = await fixture(t);
  await fs.mkdir(join(directory, "elsewhere"));
  await write(join(directory, "elsewhere", "real"), line(3, "11"));
  await fs.symlink("elsewhere/real", path);
  const next = start();
  assert.deepEqual(idsOf(await next()), [3]);
  await replace(join(directory, "elsewhere", "real"), line(4, "22"));
  assert.deepEqual(idsOf(await next()), [4]);
});

test("keystore: half-written, the running keys stay; complete, it is taken", async (t) => {
  const { path, start, canDerive } = await fixture(t);
  await write(path, line(3, "11"));
  const next = start();
  await next();
  const whole = line(3, "11") + line(4, "22");
  await write(path, whole.slice(0, -30));
  const half = await past("KEYFILE_EMPTY", next);
  assert.equal(codeOf(half), "KEYFILE_FIELD_COUNT");
  assert.match(half.kind === "invalid" ? half.message : "", /keys:2: /);
  assert.deepEqual([canDerive(3), canDerive(4)], [true, false]);
  await write(path, whole);
  assert.deepEqual(idsOf(await past("KEYFILE_EMPTY", next)), [3, 4]);
});

test("keystore: emptied, removed and made again: the running keys stay", async (t) => {
  const { path, start, canDerive } = await fixture(t);
  await write(path, line(3, "11"));
  const next = start();
  await next();
  await fs.truncate(path);
  assert.equal(codeOf(await next()), "KEYFILE_EMPTY");
  await fs.unlink(path);
  assert.equal(codeOf(await next()), "KEYFILE_MISSING");
  assert.equal(canDerive(3), true);
  await replace(path, line(3, "11"));
  assert.deepEqual(idsOf(await next()), [3]);
});

test("keystore: without a valid file there is no key (3.1 case 7)", async (t) => {
  const { path, start, canDerive } = await fixture(t);
  await write(path, "6 test zz test zz\n");
  assert.equal(codeOf(await start()()), "KEYFILE_ALGORITHM");
  assert.equal(canDerive(6), false);
});

test("keystore: a bad content is told once, however often it is touched", async (t) => {
  const { directory, path, start } = await fixture(t, { settleMs: 0 });
  await write(path, "bad\n");
  const next = start();
  assert.equal(codeOf(await next()), "KEYFILE_KEY_ID");
  const events = watch(directory);
  t.after(() => events.close());
  for (let round = 0; round < 50; round += 1) {
    const seen = once(events, "change");
    await fs.utimes(path, round, round);
    await seen;
  }
  await replace(path, line(3, "11"));
  const after = await next();
  assert.equal(after.kind, "valid", "and the next thing told is the next thing that differs");
});

test("keystore: the same keys in other words are no news", async (t) => {
  const { path, start, warnings } = await fixture(t);
  await write(path, line(3, "11"));
  await fs.chmod(path, 0o644);
  const next = start();
  await next();
  await warnings.next();
  await replace(path, ` ${line(3, "11").replaceAll(" ", "\t")}`, 0o644);
  assert.equal(await warnings.next(), "KEYFILE_PERMISSIONS", "this content was read");
  await replace(path, line(3, "11") + line(4, "22"));
  assert.deepEqual(idsOf(await next()), [3, 4]);
});

test("keystore: bytes of another key id are taken with a warning", async (t) => {
  const { path, start, warnings } = await fixture(t);
  await write(path, line(3, "11") + line(4, "11"));
  assert.deepEqual(idsOf(await start()()), [3, 4]);
  assert.deepEqual(warnings.arrived, ["KEYFILE_KEY_REUSED"]);
});

test("keystore: every distinct bad content is told", async (t) => {
  const { path, start } = await fixture(t);
  await write(path, "one\n");
  const next = start();
  assert.equal(codeOf(await next()), "KEYFILE_KEY_ID");
  await replace(path, "two\n");
  assert.equal(codeOf(await next()), "KEYFILE_KEY_ID");
  await replace(path, `3 rfc4106(gcm(aes)) ${hex("ab")}c 128\n`);
  assert.equal(codeOf(await next()), "KEYFILE_HEX");
});

test("keystore: a directory that comes later is found by the poll", async (t) => {
  const parent = await fs.mkdtemp(join(tmpdir(), "spindle-keys-"));
  t.after(() => fs.rm(parent, { recursive: true }));
  const path = join(parent, "later", "keys");
  const { start } = await fixture(t, { path, pollMs: 10 });
  const next = start();
  assert.equal(codeOf(await next()), "KEYFILE_MISSING");
  await fs.mkdir(join(parent, "later"));
  await replace(path, line(3, "11"));
  assert.deepEqual(idsOf(await next()), [3]);
  await fs.rename(join(parent, "later"), join(parent, "old"));
  assert.equal(codeOf(await next()), "KEYFILE_MISSING");
  await fs.mkdir(join(parent, "later"));
  await replace(path, line(4, "22"));
  assert.deepEqual(idsOf(await next()), [4]);
});

test("keystore: another directory under the old name is watched from then on", async (t) => {
  const parent = await fs.mkdtemp(join(tmpdir(), "spindle-keys-"));
  t.after(() => fs.rm(parent, { recursive: true }));
  const path = join(parent, "dir", "keys");
  for (const [name, keyId] of [["dir", 3], ["new", 4]] as const) {
    await fs.mkdir(join(parent, name));
    await write(join(parent, name, "keys"), line(keyId, "11"));
  }
  const { start } = await fixture(t, { path });
  const next = start();
  await next();
  renameSync(join(parent, "dir"), join(parent, "old"));
  renameSync(join(parent, "new"), join(parent, "dir"));
  assert.deepEqual(idsOf(await next()), [4]);
  await replace(path, line(5, "33"));
  assert.deepEqual(idsOf(await next()), [5]);
});

test("keystore: a file that others can read is taken with a warning", async (t) => {
  const { path, start, warnings } = await fixture(t);
  await write(path, line(3, "11"));
  await fs.chmod(path, 0o644);
  assert.deepEqual(idsOf(await start()()), [3]);
  assert.deepEqual(warnings.arrived, ["KEYFILE_PERMISSIONS"]);
});

test("keystore: with strict permissions it is refused until it is closed", async (t) => {
  const { path, start, canDerive, warnings } = await fixture(t, { strictPermissions: true });
  await write(path, line(3, "11"));
  await fs.chmod(path, 0o644);
  const next = start();
  assert.equal(codeOf(await next()), "KEYFILE_PERMISSIONS");
  assert.equal(canDerive(3), false);
  await fs.chmod(path, 0o600);
  assert.deepEqual(idsOf(await next()), [3]);
  assert.deepEqual(warnings.arrived, []);
});

test("keystore: the auth+enc form and short ICVs are refused with their line", async (t) => {
  const { path, start } = await fixture(t);
  const half = hex("ab").slice(0, 32);
  await write(path, `3 hmac(sha256) ${half} cbc(aes) ${half}\n`);
  const next = start();
  assert.equal(codeOf(await next()), "KEYFILE_NOT_RUNNABLE");
  await replace(path, line(3, "11") + line(4, "22").replace(" 128", " 96"));
  const reading = await next();
  assert.equal(codeOf(reading), "KEYFILE_NOT_RUNNABLE");
  assert.match(reading.kind === "invalid" ? reading.message : "", /keys:2: /);
});

test("keystore: other bytes under an id in use wait until the old are forgotten", async (t) => {
  const { path, start, store, canDerive } = await fixture(t);
  await write(path, line(3, "11") + line(4, "22"));
  const next = start();
  const [, old] = keysOf(await next());
  assert.ok(old);
  await replace(path, line(3, "11") + line(4, "99"));
  assert.equal(codeOf(await next()), "KEYFILE_SAME_ID_OTHER_BYTES");
  assert.equal(canDerive(4), true, "the key in use stays");
  store.forget(old);
  const [, renewed] = keysOf(await next());
  assert.equal(renewed?.keyId, 4);
  assert.notEqual(renewed?.check, old.check);
});

test("keystore: nothing of a clashing file is taken", async (t) => {
  const { path, start, canDerive } = await fixture(t);
  await write(path, line(3, "11"));
  const next = start();
  await next();
  await replace(path, line(3, "99") + line(4, "22"));
  assert.equal(codeOf(await next()), "KEYFILE_SAME_ID_OTHER_BYTES");
  assert.equal(canDerive(4), false);
});

test("keystore: a key that left the file stays usable until it is forgotten", async (t) => {
  const { path, start, store, canDerive } = await fixture(t);
  await write(path, line(3, "11") + line(4, "22"));
  const next = start();
  const [three] = keysOf(await next());
  assert.ok(three);
  await replace(path, line(4, "22"));
  await next();
  assert.equal(canDerive(3), true);
  store.forget(three);
  assert.deepEqual([canDerive(3), canDerive(4)], [false, true]);
});

test("keystore: forgotten while the file offers it, it goes with its line", async (t) => {
  const { path, start, store, canDerive } = await fixture(t);
  await write(path, line(3, "11") + line(4, "22"));
  const next = start();
  const [three] = keysOf(await next());
  assert.ok(three);
  store.forget(three);
  store.forget(three);
  assert.equal(canDerive(3), true);
  await replace(path, line(4, "22") + line(5, "33"));
  await next();
  assert.deepEqual([canDerive(3), canDerive(4), canDerive(5)], [false, true, true]);
});

test("keystore: stopped, it tells nothing more; a new watch begins anew", async (t) => {
  const { path, store } = await fixture(t);
  await write(path, line(3, "11"));
  const first = new Queue<KeyFileReading>();
  const stop = store.watch((reading) => first.add(reading));
  await first.next();
  stop();
  stop();
  await replace(path, line(4, "22"));
  const second = new Queue<KeyFileReading>();
  t.after(store.watch((reading) => second.add(reading)));
  assert.deepEqual(idsOf(await second.next()), [4]);
  await replace(path, line(5, "33"));
  assert.deepEqual(idsOf(await second.next()), [5]);
  assert.deepEqual(first.arrived, [], "the stopped watch heard of neither");
});
