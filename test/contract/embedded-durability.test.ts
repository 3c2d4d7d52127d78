/**
 * A crash at any byte loses no acknowledged write: of the process (SIGKILL at seeded moments), and
 * of the machine (the file as it is when only the first bytes of a transaction reached the disk).
 * `SPINDLE_SEED` repeats a run.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { fileURLToPath } from "node:url";
import { EmbeddedStore } from "../../src/adapters/registry/embedded/store.js";
import { makePrng, type Prng } from "../../src/core/prng.js";

const writer = fileURLToPath(new URL("store-writer.js", import.meta.url));
const filler = fileURLToPath(new URL("store-filler.js", import.meta.url));
const seed = Number(process.env["SPINDLE_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
const rounds = 10;
const copies = 12;
const cutsPerCopy = 4;
const pageBytes = 4_096;
/** Two root pages, of which each transaction writes one, last of all. */
const rootBytes = 2 * pageBytes;

interface Acknowledged {
  readonly key: string;
  readonly revision: number;
  readonly value: string;
}

function clause(name: string, body: (context: TestContext) => Promise<void>): void {
  void test(`embedded durability: ${name}`, body);
}

clause("a killed process loses no acknowledged write", async (context) => {
  context.diagnostic(`seed ${seed}`);
  const directory = directoryFor(context);
  const prng = makePrng(seed);
  let total = 0;
  for (let round = 0; round < rounds; round++) {
    const written = await writeUntilKilled(directory, prng.next(), 1 + prng.below(300));
    total += written.length;
    await assertHolds(directory, written);
  }
  assert.ok(total > rounds, `${total} writes were acknowledged`);
});

clause("a transaction cut at any byte leaves all of the one before", async (context) => {
  context.diagnostic(`seed ${seed}`);
  const directory = directoryFor(context);
  const prng = makePrng(seed);
  await run([directory, String(seed), String(copies)]);
  const names = Array.from({ length: copies }, (_, number) => `copy-${number}`);
  const files = names.map((name) => readFileSync(join(directory, name)));
  const states: string[] = [];
  for (const file of files) states.push(await stateOf(directory, file));
  assert.equal(new Set(states).size, copies);
  for (let next = 1; next < copies; next++) {
    const [before, after] = [files[next - 1], files[next]];
    assert.ok(before !== undefined && after !== undefined);
    const parts = writtenBetween(before, after);
    for (let cut = 0; cut < cutsPerCopy; cut++) {
      await assertCut(directory, before, parts, prng, states.slice(next - 1, next + 1));
    }
  }
});

clause("a full disk refuses writes, loses none and ends nothing", async (context) => {
  const directory = directoryFor(context);
  // Writing beyond the limit then fails, as on a full disk, instead of ending the program.
  const limited = 'trap "" XFSZ; ulimit -f 2000; exec "$0" "$@"';
  const child = spawn("sh", ["-c", limited, process.execPath, filler, directory], {
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(child, "close");
  const lines: string[] = [];
  for await (const line of createInterface({ input: child.stdout })) lines.push(line);
  assert.deepEqual(await ended, [0, null]);
  const seen = JSON.parse(lines.join("")) as Readonly<Record<string, unknown>>;
  const count = seen["acknowledged"];
  assert.ok(typeof count === "number" && count > 0);
  const code = "REGISTRY_STORE_FAILED";
  const expected = { first: code, second: code, acknowledged: count };
  assert.deepEqual(seen, { ...expected, revision: count, items: count, told: count });
});

function directoryFor(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), "spindle-durability-"));
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

/** What the child acknowledged until it was killed, in order. */
async function writeUntilKilled(
  directory: string,
  childSeed: number,
  killAfter: number,
): Promise<readonly Acknowledged[]> {
  const child = spawn(process.execPath, [writer, directory, String(childSeed)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "close");
  const written: Acknowledged[] = [];
  for await (const line of createInterface({ input: child.stdout })) {
    const [key, revision, value] = line.split(" ");
    // The last line may be cut.
    if (key === undefined || revision === undefined || value === undefined) continue;
    written.push({ key, revision: Number(revision), value });
    if (written.length === killAfter) child.kill("SIGKILL");
  }
  assert.deepEqual(await ended, [null, "SIGKILL"]);
  return written.slice(0, -1);
}

async function assertHolds(directory: string, written: readonly Acknowledged[]): Promise<void> {
  const store = new EmbeddedStore(directory);
  const items = new Map(store.range("k/").items.map((item) => [item.key, item]));
  for (const { key, revision, value } of written) {
    const item = items.get(key);
    assert.ok(item !== undefined && item.revision >= revision, `${key} of ${revision} is there`);
    if (item.revision === revision) assert.equal(item.value, value);
    const [told] = store.changes("", revision - 1, revision) ?? [];
    assert.deepEqual(told?.changes, [{ key, value }], `watches can resume at ${revision}`);
  }
  await store.close();
}

async function run(args: readonly string[]): Promise<void> {
  const stdio = ["ignore", "ignore", "inherit"] as const;
  const child = spawn(process.execPath, [writer, ...args], { stdio: [...stdio] });
  assert.deepEqual(await once(child, "close"), [0, null]);
}

interface Part {
  readonly start: number;
  readonly bytes: Buffer;
}

/** Pages that a transaction wrote, in LMDB's order: data first, the root last. */
function writtenBetween(before: Buffer, after: Buffer): readonly Part[] {
  const parts: Part[] = [];
  for (let start = 0; start < after.length; start += pageBytes) {
    const bytes = after.subarray(start, start + pageBytes);
    if (!bytes.equals(before.subarray(start, start + pageBytes))) parts.push({ start, bytes });
  }
  const roots = parts.filter(({ start }) => start < rootBytes);
  assert.equal(roots.length, 1, "one root is written");
  return [...parts.filter(({ start }) => start >= rootBytes), ...roots];
}

/** Either state is right while the root is being written; before that only the older one is. */
async function assertCut(
  directory: string,
  before: Buffer,
  parts: readonly Part[],
  prng: Prng,
  states: readonly string[],
): Promise<void> {
  const length = parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const cut = prng.below(length);
  const state = await stateOf(directory, applyUpTo(before, parts, cut));
  const allowed = cut < length - pageBytes ? states.slice(0, 1) : states;
  assert.ok(allowed.includes(state), `cut at byte ${cut} of ${length}`);
}

function applyUpTo(before: Buffer, parts: readonly Part[], cut: number): Buffer {
  const end = Math.max(before.length, ...parts.map(({ start, bytes }) => start + bytes.length));
  const file = Buffer.concat([before, Buffer.alloc(end - before.length)]);
  let rest = cut;
  for (const { start, bytes } of parts) {
    bytes.copy(file, start, 0, Math.max(0, Math.min(rest, bytes.length)));
    rest -= bytes.length;
  }
  return file;
}

/** All that a store shows which finds `file` on its disk. */
async function stateOf(directory: string, file: Buffer): Promise<string> {
  const opened = join(directory, "opened");
  mkdirSync(opened);
  writeFileSync(join(opened, "data.mdb"), file);
  const store = new EmbeddedStore(opened);
  const { revision } = store;
  const state = JSON.stringify([revision, store.range("k/"), store.changes("", 0, revision)]);
  await store.close();
  rmSync(opened, { recursive: true });
  return state;
}
