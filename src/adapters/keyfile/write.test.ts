import assert from "node:assert/strict";
import { lstat, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import type { KeyId } from "../../core/key-id.js";
import { describeAlgorithm, whyNotRunnable } from "../../core/keyfile/key-file.js";
import { parseKeyFile } from "../../core/keyfile/parse.js";
import { generatedAlgorithms, generateLike, generateLine } from "./generate.js";
import { createKeyFile, replaceKeyFile } from "./write.js";

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-write-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

const three = 3 as KeyId;
const four = 4 as KeyId;

for (const algorithm of generatedAlgorithms) {
  test(`key file: a generated ${algorithm} key is read back equal and runs`, async (t) => {
    const path = join(await scratch(t), "keys");
    const line = generateLine(three, algorithm);
    await createKeyFile(path, [line]);
    const parsed = parseKeyFile(await readFile(path), 15);
    assert.ok(parsed.ok);
    assert.deepEqual(parsed.value.lines, [line]);
    assert.equal(describeAlgorithm(line.key), algorithm);
    assert.equal(whyNotRunnable(line.key), null);
    assert.equal((await stat(path)).mode & 0o777, 0o600);
  });
}

test("key file: a likeness has form and lengths of its model, and other bytes", () => {
  const one = generateLine(three, "aes-gcm-256");
  const other = generateLike({ ...one, plus: false }, four);
  assert.ok(one.key.kind === "aead" && other.key.kind === "aead");
  assert.equal(other.key.bytes.length, 36);
  assert.notDeepEqual(other.key.bytes, one.key.bytes);
  assert.deepEqual([other.keyId, other.plus, other.key.icvBits], [4, false, 128]);
});

test("key file: a likeness of the auth+enc form has two fresh keys", () => {
  const key = {
    kind: "auth-enc",
    authAlgorithm: "hmac(sha512)",
    authBytes: new Uint8Array(64),
    cipherAlgorithm: "cbc(aes)",
    cipherBytes: new Uint8Array(16),
  } as const;
  const like = generateLike({ keyId: three, plus: true, key }, four).key;
  assert.ok(like.kind === "auth-enc" && like.authAlgorithm === "hmac(sha512)");
  assert.deepEqual([like.authBytes.length, like.cipherBytes.length], [64, 16]);
  for (const bytes of [like.authBytes, like.cipherBytes]) {
    assert.ok(bytes.some((byte) => byte !== 0));
  }
});

test("key file: creating refuses an existing file, even a link that leads nowhere", async (t) => {
  const directory = await scratch(t);
  await writeFile(join(directory, "keys"), "kept");
  await symlink("nowhere", join(directory, "link"));
  for (const name of ["keys", "link"]) {
    const creating = createKeyFile(join(directory, name), [generateLine(three, "aes-gcm-128")]);
    await assert.rejects(creating, { code: "KEYFILE_EXISTS" });
  }
  assert.equal(await readFile(join(directory, "keys"), "utf8"), "kept");
  assert.deepEqual((await readdir(directory)).sort(), ["keys", "link"]);
});

test("key file: replacing closes an open mode and keeps a link a link", async (t) => {
  const directory = await scratch(t);
  await writeFile(join(directory, "real"), "old", { mode: 0o644 });
  await symlink("real", join(directory, "keys"));
  await replaceKeyFile(join(directory, "keys"), [generateLine(three, "aes-gcm-128")]);
  assert.ok((await lstat(join(directory, "keys"))).isSymbolicLink());
  assert.equal((await stat(join(directory, "real"))).mode & 0o777, 0o600);
  assert.match(await readFile(join(directory, "real"), "utf8"), /^3\+ rfc4106/);
});

test("key file: the owner it had stays", async (t) => {
  if (process.getuid?.() !== 0) return t.skip("only root gives files away");
  const path = join(await scratch(t), "keys");
  await replaceKeyFile(path, [generateLine(three, "aes-gcm-128")], { uid: 65534, gid: 65534 });
  const { uid, gid } = await stat(path);
  assert.deepEqual([uid, gid], [65534, 65534]);
});

test("key file: what cannot be written says why and leaves nothing", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "missing", "keys");
  const writing = replaceKeyFile(path, [generateLine(three, "aes-gcm-128")]);
  await assert.rejects(writing, (error: Error & { code?: string }) => {
    assert.equal(error.code, "KEYFILE_WRITE_FAILED");
    assert.match(error.message, /make its directory first/);
    return true;
  });
  assert.deepEqual(await readdir(directory), []);
});
