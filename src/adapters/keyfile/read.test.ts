import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmod, mkdtemp, rm, symlink, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { limits } from "../../core/limits.js";
import { describeOpenMode, readKeyFile } from "./read.js";

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-read-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("key file: bytes, mode and owner of a plain file and through a link", async (t) => {
  const directory = await scratch(t);
  await writeFile(join(directory, "keys"), "text", { mode: 0o600 });
  await symlink("keys", join(directory, "link"));
  for (const name of ["keys", "link"]) {
    const content = await readKeyFile(join(directory, name));
    assert.equal(content.bytes.toString(), "text");
    assert.equal(content.mode, 0o600);
    assert.equal(content.uid, process.getuid?.());
  }
});

test("key file: what is not there, or behind a link that leads nowhere, is missing", async (t) => {
  const directory = await scratch(t);
  await symlink("nowhere", join(directory, "link"));
  await writeFile(join(directory, "file"), "");
  for (const name of ["keys", "link", "file/keys"]) {
    await assert.rejects(readKeyFile(join(directory, name)), { code: "KEYFILE_MISSING" }, name);
  }
});

test("key file: no directory, FIFO, socket or device, and no waiting for one", async (t) => {
  const directory = await scratch(t);
  execFileSync("mkfifo", [join(directory, "fifo")]);
  const server = createServer().listen(join(directory, "socket"));
  t.after(() => server.close());
  await new Promise((listening) => server.once("listening", listening));
  const paths = [directory, join(directory, "fifo"), join(directory, "socket"), "/dev/null"];
  for (const path of paths) {
    await assert.rejects(readKeyFile(path), { code: "KEYFILE_NOT_A_FILE" }, path);
  }
});

test("key file: one byte above the limit is refused, the limit itself is read", async (t) => {
  const path = join(await scratch(t), "keys");
  await writeFile(path, "x".repeat(limits.keyFileBytesMax));
  assert.equal((await readKeyFile(path)).bytes.length, limits.keyFileBytesMax);
  await writeFile(path, "x".repeat(limits.keyFileBytesMax + 1));
  await assert.rejects(readKeyFile(path), { code: "KEYFILE_TOO_LARGE" });
});

test("key file: a file whose size tells nothing is bounded all the same", async () => {
  // Its size is given as 0.
  await assert.rejects(readKeyFile("/proc/kallsyms"), { code: "KEYFILE_TOO_LARGE" });
});

test("key file: one that may not be read is told from one that is missing", async (t) => {
  const path = join(await scratch(t), "keys");
  await writeFile(path, "text");
  await chmod(path, 0o000);
  // Root reads everything: become nobody for a moment.
  const isRoot = process.getuid?.() === 0;
  if (isRoot) process.seteuid?.(65534);
  try {
    await assert.rejects(readKeyFile(path), { code: "KEYFILE_UNREADABLE" });
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
});

test("key file: only the owner may use it", () => {
  for (const mode of [0o600, 0o400, 0o700]) assert.equal(describeOpenMode("keys", mode), null);
  for (const mode of [0o604, 0o640, 0o660, 0o601]) {
    assert.notEqual(describeOpenMode("keys", mode), null);
  }
  assert.equal(
    describeOpenMode("keys", 0o44),
    "keys can be used by others (mode 0044): chmod 600 keys",
  );
});
