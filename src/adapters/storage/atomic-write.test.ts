import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { isTemporaryName, writeFileAtomically } from "./atomic-write.js";

async function scratch(t: TestContext): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-atomic-"));
  t.after(() => rm(directory, { recursive: true }));
  return directory;
}

test("atomic write: the file has the text and the mode, whatever the umask", async (t) => {
  const directory = await scratch(t);
  const before = process.umask(0o077);
  t.after(() => process.umask(before));
  await writeFileAtomically(join(directory, "a"), Buffer.from("one"), { mode: 0o640 });
  assert.equal(await readFile(join(directory, "a"), "utf8"), "one");
  assert.equal((await stat(join(directory, "a"))).mode & 0o777, 0o640);
  assert.deepEqual(await readdir(directory), ["a"]);
});

test("atomic write: a reader that has the old file open keeps reading it whole", async (t) => {
  const path = join(await scratch(t), "a");
  await writeFile(path, "old");
  const before = await stat(path);
  await writeFileAtomically(path, Buffer.from("new"), { mode: 0o600 });
  assert.equal(await readFile(path, "utf8"), "new");
  assert.notEqual((await stat(path)).ino, before.ino, "another file took its place");
});

test("atomic write: exclusive refuses an existing file and leaves it as it was", async (t) => {
  const directory = await scratch(t);
  const path = join(directory, "a");
  const options = { mode: 0o600, exclusive: true } as const;
  await writeFileAtomically(path, Buffer.from("one"), options);
  await assert.rejects(writeFileAtomically(path, Buffer.from("two"), options), { code: "EEXIST" });
  assert.equal(await readFile(path, "utf8"), "one");
  assert.deepEqual(await readdir(directory), ["a"]);
});

test("atomic write: what fails leaves nothing behind", async (t) => {
  const directory = await scratch(t);
  const write = writeFileAtomically(directory, Buffer.from("one"), { mode: 0o600 });
  await assert.rejects(write, "a directory is not replaced");
  assert.deepEqual(await readdir(directory), []);
});

test("atomic write: its temporary files are told from others", () => {
  assert.equal(isTemporaryName(".nodes.json.0123456789ab.tmp"), true);
  for (const name of ["nodes.json", ".nodes.json", "a.tmp", ".a.tmp"]) {
    assert.equal(isTemporaryName(name), false, name);
  }
});
