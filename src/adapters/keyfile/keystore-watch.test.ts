/** How changes of real key files are seen. Waits end with an event, never with time. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { renameSync, watch } from "node:fs";
import * as fs from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { codeOf, hex, idsOf, line, openKeystore } from "../../../test/support/keystore.js";
import { past, replace, write } from "../../../test/support/keystore.js";

test("keystore: a file replaced, or written in place, is read each time", async (t) => {
  const { path, start } = await openKeystore(t);
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
  const { directory, path, start } = await openKeystore(t);
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
  const { directory, path, start } = await openKeystore(t);
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
  const { directory, path, start } = await openKeystore(t);
  await fs.mkdir(join(directory, "elsewhere"));
  await write(join(directory, "elsewhere", "real"), line(3, "11"));
  await fs.symlink("elsewhere/real", path);
  const next = start();
  assert.deepEqual(idsOf(await next()), [3]);
  await replace(join(directory, "elsewhere", "real"), line(4, "22"));
  assert.deepEqual(idsOf(await next()), [4]);
});

test("keystore: half-written, the running keys stay; complete, it is taken", async (t) => {
  const { path, start, canDerive } = await openKeystore(t);
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
  const { path, start, canDerive } = await openKeystore(t);
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

test("keystore: a bad content is told once, however often it is touched", async (t) => {
  const { directory, path, start } = await openKeystore(t, { settleMs: 0 });
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

test("keystore: every distinct bad content is told", async (t) => {
  const { path, start } = await openKeystore(t);
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
  const { start } = await openKeystore(t, { path, pollMs: 10 });
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
  const { start } = await openKeystore(t, { path });
  const next = start();
  await next();
  renameSync(join(parent, "dir"), join(parent, "old"));
  renameSync(join(parent, "new"), join(parent, "dir"));
  assert.deepEqual(idsOf(await next()), [4]);
  await replace(path, line(5, "33"));
  assert.deepEqual(idsOf(await next()), [5]);
});
