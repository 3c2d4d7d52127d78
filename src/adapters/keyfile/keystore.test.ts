/** What the keystore takes, refuses, keeps and wipes. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import test from "node:test";
import { codeOf, hex, idsOf, keysOf, line, openKeystore } from "../../../test/support/keystore.js";
import { Queue, replace, write } from "../../../test/support/keystore.js";
import type { KeyFileReading } from "../../ports/keystore.js";

test("keystore: the first reading offers the keys of the file, in its order", async (t) => {
  const { path, start, canDerive, warnings } = await openKeystore(t);
  await write(path, line(3, "11") + line(4, "22"));
  const next = start();
  assert.deepEqual(idsOf(await next()), [3, 4]);
  assert.deepEqual([canDerive(3), canDerive(4), canDerive(5)], [true, true, false]);
  assert.deepEqual(warnings.arrived, []);
});

test("keystore: without a valid file there is no key (3.1 case 7)", async (t) => {
  const { path, start, canDerive } = await openKeystore(t);
  await write(path, "6 test zz test zz\n");
  assert.equal(codeOf(await start()()), "KEYFILE_ALGORITHM");
  assert.equal(canDerive(6), false);
});

test("keystore: the same keys in other words are no news", async (t) => {
  const { path, start, warnings } = await openKeystore(t);
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
  const { path, start, warnings } = await openKeystore(t);
  await write(path, line(3, "11") + line(4, "11"));
  assert.deepEqual(idsOf(await start()()), [3, 4]);
  assert.deepEqual(warnings.arrived, ["KEYFILE_KEY_REUSED"]);
});

test("keystore: a file that others can read is taken with a warning", async (t) => {
  const { path, start, warnings } = await openKeystore(t);
  await write(path, line(3, "11"));
  await fs.chmod(path, 0o644);
  assert.deepEqual(idsOf(await start()()), [3]);
  assert.deepEqual(warnings.arrived, ["KEYFILE_PERMISSIONS"]);
});

test("keystore: with strict permissions it is refused until it is closed", async (t) => {
  const { path, start, canDerive, warnings } = await openKeystore(t, { strictPermissions: true });
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
  const { path, start } = await openKeystore(t);
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
  const { path, start, store, canDerive } = await openKeystore(t);
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
  const { path, start, canDerive } = await openKeystore(t);
  await write(path, line(3, "11"));
  const next = start();
  await next();
  await replace(path, line(3, "99") + line(4, "22"));
  assert.equal(codeOf(await next()), "KEYFILE_SAME_ID_OTHER_BYTES");
  assert.equal(canDerive(4), false);
});

test("keystore: a key that left the file stays usable until it is forgotten", async (t) => {
  const { path, start, store, canDerive } = await openKeystore(t);
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
  const { path, start, store, canDerive } = await openKeystore(t);
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
  const { path, store } = await openKeystore(t);
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
