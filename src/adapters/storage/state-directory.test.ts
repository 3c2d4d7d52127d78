import assert from "node:assert/strict";
import { spawn, type ChildProcessByStdio } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import test, { type TestContext } from "node:test";
import { limits } from "../../core/limits.js";
import type { Result } from "../../core/result.js";
import type { Done, PortFailure } from "../../ports/failure.js";
import type { Log } from "../../ports/log.js";
import { openStateDirectory, type StateDirectory } from "./state-directory.js";

interface Entry {
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

interface Fixture {
  readonly directory: string;
  readonly log: Log;
  readonly entries: Entry[];
}

async function scratch(t: TestContext): Promise<Fixture> {
  const parent = await mkdtemp(join(tmpdir(), "spindle-state-"));
  t.after(() => rm(parent, { recursive: true }));
  const entries: Entry[] = [];
  const write: Log["write"] = (level, message, fields) => entries.push({ level, message, fields });
  return { directory: join(parent, "state"), log: { write }, entries };
}

async function openScratch(t: TestContext): Promise<Fixture & { readonly state: StateDirectory }> {
  const fixture = await scratch(t);
  const state = await openStateDirectory(fixture.directory, fixture.log);
  t.after(() => state.close());
  return { ...fixture, state };
}

function outcome<T>(start: (done: Done<T>) => void): Promise<Result<T, PortFailure>> {
  return new Promise((resolve) => start(resolve));
}

async function load(state: StateDirectory, name: string): Promise<string | null> {
  const result = await outcome<string | null>((done) => state.load(name, done));
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

async function save(state: StateDirectory, name: string, text: string): Promise<void> {
  const result = await outcome<null>((done) => state.save(name, () => text, done));
  assert.ok(result.ok, JSON.stringify(result));
}

test("state directory: made with mode 0700, documents with 0600", async (t) => {
  const { directory, state, entries } = await openScratch(t);
  await save(state, "nodes.json", "[]");
  assert.equal((await stat(directory)).mode & 0o777, 0o700);
  assert.equal((await stat(join(directory, "nodes.json"))).mode & 0o777, 0o600);
  assert.deepEqual(entries, []);
});

test("state directory: one that others can enter is used and warned of", async (t) => {
  const { directory, log, entries } = await scratch(t);
  await mkdir(directory);
  await chmod(directory, 0o755);
  const state = await openStateDirectory(directory, log);
  t.after(() => state.close());
  assert.deepEqual(entries.map((entry) => [entry.level, entry.fields["mode"]]), [["warn", "755"]]);
});

test("state directory: what is not there loads as null", async (t) => {
  const { state } = await openScratch(t);
  assert.equal(await load(state, "nodes.json"), null);
});

test("state directory: a saved text loads again, after a restart too", async (t) => {
  const { directory, log, state } = await openScratch(t);
  await save(state, "nodes.json", '{"a":1}');
  assert.equal(await load(state, "nodes.json"), '{"a":1}');
  await state.close();
  const next = await openStateDirectory(directory, log);
  t.after(() => next.close());
  assert.equal(await load(next, "nodes.json"), '{"a":1}');
});

test("state directory: every done tells of its own text or a newer one", async (t) => {
  const { directory, state } = await openScratch(t);
  const found: number[] = [];
  const saves = Array.from({ length: 100 }, (_, index) =>
    outcome<null>((done) =>
      state.save("nodes.json", () => String(index), (result) => {
        found[index] = Number(documentIn(directory));
        done(result);
      }),
    ),
  );
  await Promise.all(saves);
  assert.ok(found.length === 100 && found.every((text, index) => text >= index), found.join());
});

test("state directory: a save that waits is overtaken by the newest text", async (t) => {
  const { directory, state } = await openScratch(t);
  const first = outcome<string>((done) =>
    state.save("nodes.json", () => "1", () => done({ ok: true, value: documentIn(directory) })),
  );
  for (let text = 2; text <= 50; text += 1) state.save("nodes.json", () => String(text), () => undefined);
  assert.deepEqual(await first, { ok: true, value: "50" });
});

function documentIn(directory: string): string {
  const sealed: unknown = JSON.parse(readFileSync(join(directory, "nodes.json"), "utf8"));
  return String((sealed as { document: unknown }).document);
}

test("state directory: a load waits for the saves before it", async (t) => {
  const { state } = await openScratch(t);
  state.save("nodes.json", () => "1", () => undefined);
  state.save("nodes.json", () => "2", () => undefined);
  assert.equal(await load(state, "nodes.json"), "2");
});

test("state directory: a cut document is set aside, logged, and read as null", async (t) => {
  const { directory, state, entries } = await openScratch(t);
  const path = join(directory, "nodes.json");
  await save(state, "nodes.json", '{"a":1}');
  const whole = await readFile(path);
  const cuts = [0, 1, 20, 90, 107, whole.length - 1];
  for (const length of cuts) {
    await writeFile(path, whole.subarray(0, length));
    assert.equal(await load(state, "nodes.json"), null, `cut at ${length}`);
    assert.equal(await load(state, "nodes.json"), null, "the name is free again");
  }
  assert.deepEqual(entries.map((entry) => entry.level), cuts.map(() => "error"));
  assert.deepEqual(entries[1]?.fields, {
    code: "STATE_DOCUMENT_CORRUPT",
    document: "nodes.json",
    kept: "nodes.json.corrupt.2",
    why: "no header",
  });
  assert.deepEqual(await readFile(join(directory, "nodes.json.corrupt.3")), whole.subarray(0, 20));
});

test("state directory: copies of corrupt documents are bounded", async (t) => {
  const { directory, state } = await openScratch(t);
  for (let count = 0; count < limits.stateCorruptCopiesMax + 3; count += 1) {
    await writeFile(join(directory, "nodes.json"), `bad ${count}`);
    assert.equal(await load(state, "nodes.json"), null);
  }
  const kept = (await readdir(directory)).filter((name) => name.includes(".corrupt"));
  assert.equal(kept.length, limits.stateCorruptCopiesMax);
  const last = join(directory, `nodes.json.corrupt.${limits.stateCorruptCopiesMax}`);
  assert.equal(await readFile(last, "utf8"), `bad ${limits.stateCorruptCopiesMax + 2}`);
});

test("state directory: a document of a newer release is refused and left alone", async (t) => {
  const { directory, state } = await openScratch(t);
  const text = '{"version":2,"document":{}}\n';
  await writeFile(join(directory, "nodes.json"), text);
  const result = await outcome<string | null>((done) => state.load("nodes.json", done));
  assert.ok(!result.ok && result.error.code === "STATE_DOCUMENT_NEWER" && !result.error.retryable);
  assert.equal(await readFile(join(directory, "nodes.json"), "utf8"), text);
});

test("state directory: a text above the limit is refused and the old one stays", async (t) => {
  const { state } = await openScratch(t);
  await save(state, "nodes.json", "small");
  const large = "x".repeat(limits.checkpointBytesMax);
  const result = await outcome<null>((done) => state.save("nodes.json", () => large, done));
  assert.ok(!result.ok && result.error.code === "STATE_DOCUMENT_TOO_LARGE");
  assert.equal(await load(state, "nodes.json"), "small");
});

test("state directory: a write or read that fails is told, the next can succeed", async (t) => {
  const { directory, state } = await openScratch(t);
  const path = join(directory, "nodes.json");
  await mkdir(join(path, "in the way"), { recursive: true });
  const written = await outcome<null>((done) => state.save("nodes.json", () => "1", done));
  assert.ok(!written.ok && written.error.code === "STATE_WRITE_FAILED" && written.error.retryable);
  const read = await outcome<string | null>((done) => state.load("nodes.json", done));
  assert.ok(!read.ok && read.error.code === "STATE_READ_FAILED");
  await rm(path, { recursive: true });
  await save(state, "nodes.json", "2");
});

test("state directory: what a crash left half-written is removed at the next start", async (t) => {
  const { directory, log } = await scratch(t);
  await mkdir(directory, { mode: 0o700 });
  await writeFile(join(directory, ".nodes.json.0123456789ab.tmp"), "half");
  const state = await openStateDirectory(directory, log);
  const names = (await readdir(directory)).filter((name) => !name.startsWith("lock."));
  assert.deepEqual(names, []);
  await state.close();
  assert.deepEqual(await readdir(directory), []);
});

test("state directory: a file in its place is a clear error", async (t) => {
  const { directory, log } = await scratch(t);
  await writeFile(directory, "");
  await assert.rejects(openStateDirectory(directory, log), { code: "STATE_DIR_UNUSABLE" });
});

type Child = ChildProcessByStdio<null, Readable, null>;

/** Another process that owns the directory, and counts what it saved on its output. */
function startOwner(directory: string, work: string): Child {
  const module = new URL("./state-directory.js", import.meta.url).href;
  const script = `
    const { openStateDirectory } = await import(${JSON.stringify(module)});
    const log = { write() {} };
    const state = await openStateDirectory(${JSON.stringify(directory)}, log);
    console.log("owner");
    ${work}`;
  return spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
}

const idle = "setInterval(() => {}, 1000);";

async function killNow(child: Child): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

test("state directory: a second agent is refused, and takes over after kill -9", async (t) => {
  const { directory, log } = await scratch(t);
  const owner = startOwner(directory, idle);
  t.after(() => owner.kill("SIGKILL"));
  await once(createInterface(owner.stdout), "line");
  await assert.rejects(openStateDirectory(directory, log), (error: Error & { code?: string }) => {
    assert.equal(error.code, "STATE_DIR_IN_USE");
    assert.match(error.message, new RegExp(`process ${owner.pid}\\b`));
    return true;
  });
  await killNow(owner);
  assert.equal((await readdir(directory)).length, 1, "the dead owner's socket is still there");
  const state = await openStateDirectory(directory, log);
  t.after(() => state.close());
  assert.equal((await readdir(directory)).length, 1, "and now it is ours alone");
});

test("state directory: an owner that is stopped still owns it", async (t) => {
  const { directory, log } = await scratch(t);
  const owner = startOwner(directory, idle);
  t.after(() => owner.kill("SIGKILL"));
  await once(createInterface(owner.stdout), "line");
  owner.kill("SIGSTOP");
  await assert.rejects(openStateDirectory(directory, log), { code: "STATE_DIR_IN_USE" });
});

test("state directory: of many that start at once exactly one owns it at any time", async (t) => {
  const { directory, log } = await scratch(t);
  const attempts = Array.from({ length: 12 }, () => openStateDirectory(directory, log));
  const settled = await Promise.allSettled(attempts);
  const owners = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  t.after(() => Promise.all(owners.map((owner) => owner.close())));
  assert.ok(owners.length <= 1, `${owners.length} owners`);
  for (const one of settled) {
    if (one.status === "fulfilled") continue;
    assert.equal((one.reason as { code: string }).code, "STATE_DIR_IN_USE");
  }
});

test("state directory: a path longer than a socket's address can be locked", async (t) => {
  const { directory, log } = await scratch(t);
  const deep = join(directory, "a".repeat(100), "b".repeat(100));
  const state = await openStateDirectory(deep, log);
  await assert.rejects(openStateDirectory(deep, log), { code: "STATE_DIR_IN_USE" });
  await state.close();
  const again = await openStateDirectory(deep, log);
  await again.close();
});

test("state directory: kill -9 while saving loses nothing acknowledged", async (t) => {
  const { directory, log } = await scratch(t);
  const work = `
    let count = 0;
    const next = () => state.save("count.json", () => String(count) + " ".repeat(count * 64), () => {
      console.log(count);
      count += 1;
      next();
    });
    next();`;
  for (let round = 0; round < 3; round += 1) {
    const owner = startOwner(directory, work);
    t.after(() => owner.kill("SIGKILL"));
    let acknowledged = -1;
    for await (const line of createInterface(owner.stdout)) {
      if (line !== "owner") acknowledged = Number(line);
      if (acknowledged === 20 + round * 7) owner.kill("SIGKILL");
    }
    const state = await openStateDirectory(directory, log);
    const text = await load(state, "count.json");
    assert.ok(Number(text) >= acknowledged, `${text} of ${acknowledged} acknowledged`);
    await state.close();
  }
});
