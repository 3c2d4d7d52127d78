/**
 * The state directory of one agent: whole documents, replaced atomically and durably. Invariants:
 * one process at a time (`lockDirectory`); operations on one name run in the order they were asked
 * for; a save that is still waiting is overtaken by a newer text, so a burst costs two writes. It
 * does not know what the documents mean.
 */
import { mkdir, open, readdir, rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { assert } from "../../core/assert.js";
import { limits } from "../../core/limits.js";
import { fail, succeed } from "../../core/result.js";
import type { Done } from "../../ports/failure.js";
import type { Log } from "../../ports/log.js";
import type { StoragePort } from "../../ports/storage.js";
import { PortError, toFailure } from "../port-error.js";
import { isTemporaryName, removeIfPresent, writeFileAtomically } from "./atomic-write.js";
import { lockDirectory, type DirectoryLock } from "./directory-lock.js";
import { openDocument, sealDocument } from "./document.js";

/**
 * Makes the directory (mode 0700) where it is missing, locks it and removes what a crash left
 * half-written.
 * @throws PortError STATE_DIR_IN_USE, STATE_DIR_UNUSABLE
 */
export async function openStateDirectory(directory: string, log: Log): Promise<StateDirectory> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const lock = await lockDirectory(directory);
    await warnOfOpenMode(directory, log);
    const names = await readdir(directory);
    const leftovers = names.filter(isTemporaryName);
    await Promise.all(leftovers.map((name) => removeIfPresent(join(directory, name))));
    return new StateDirectory(directory, log, lock);
  } catch (cause) {
    if (cause instanceof PortError) throw cause;
    const message = `the state directory ${directory} cannot be used: ${reasonOf(cause)}`;
    throw new PortError("STATE_DIR_UNUSABLE", message, true, { cause });
  }
}

async function warnOfOpenMode(directory: string, log: Log): Promise<void> {
  const mode = (await stat(directory)).mode & 0o777;
  if ((mode & 0o077) === 0) return;
  log.write("warn", "others can enter the state directory", { directory, mode: mode.toString(8) });
}

interface WaitingSave {
  format: () => string;
  readonly dones: Done<null>[];
}

/** The operations on one name, one after the other. */
interface Queue {
  tail: Promise<void>;
  waiting: WaitingSave | null;
}

export class StateDirectory implements StoragePort {
  readonly #directory: string;
  readonly #log: Log;
  readonly #lock: DirectoryLock;
  readonly #queues = new Map<string, Queue>();
  #closed = false;

  /** Use `openStateDirectory`. */
  constructor(directory: string, log: Log, lock: DirectoryLock) {
    this.#directory = directory;
    this.#log = log;
    this.#lock = lock;
  }

  load(name: string, done: Done<string | null>): void {
    const queue = this.#queueOf(name);
    queue.tail = queue.tail.then(async () => {
      done(await attempt(() => this.#read(name), "STATE_READ_FAILED"));
    });
  }

  save(name: string, format: () => string, done: Done<null>): void {
    const queue = this.#queueOf(name);
    if (queue.waiting !== null) {
      queue.waiting.format = format;
      queue.waiting.dones.push(done);
      return;
    }
    const waiting: WaitingSave = { format, dones: [done] };
    queue.waiting = waiting;
    queue.tail = queue.tail.then(async () => {
      queue.waiting = null;
      const result = await attempt(() => this.#write(name, waiting.format()), "STATE_WRITE_FAILED");
      for (const one of waiting.dones) one(result);
    });
  }

  /** Finishes what was asked for and gives the directory up. Nothing may be asked afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all([...this.#queues.values()].map((queue) => queue.tail));
    await this.#lock.release();
  }

  #queueOf(name: string): Queue {
    assert(!this.#closed, "a closed state directory is not used");
    assert(/^[a-z][a-z0-9-]{0,40}(\.[a-z]{1,8})?$/.test(name), "a document has a plain file name");
    const known = this.#queues.get(name);
    if (known !== undefined) return known;
    const queue: Queue = { tail: Promise.resolve(), waiting: null };
    this.#queues.set(name, queue);
    return queue;
  }

  async #write(name: string, text: string): Promise<null> {
    const sealed = Buffer.from(sealDocument(text));
    if (sealed.length > limits.checkpointBytesMax) {
      const message = `${name} has ${sealed.length} bytes of ${limits.checkpointBytesMax} at most`;
      throw new PortError("STATE_DOCUMENT_TOO_LARGE", message, false);
    }
    await writeFileAtomically(join(this.#directory, name), sealed, { mode: 0o600 });
    return null;
  }

  async #read(name: string): Promise<string | null> {
    const path = join(this.#directory, name);
    const sealed = await readWhole(path);
    if (sealed === null) return null;
    const opened = sealed === "too large" ? tooLarge : openDocument(sealed);
    if (opened.kind === "good") return opened.text;
    if (opened.kind === "corrupt") return this.#setAside(name, opened.why);
    const message =
      `${path} has version ${opened.version}, from a newer release: ` +
      "run that release, or move the file away";
    throw new PortError("STATE_DOCUMENT_NEWER", message, false);
  }

  async #setAside(name: string, why: string): Promise<null> {
    const kept = corruptName(name, await readdir(this.#directory));
    await rename(join(this.#directory, name), join(this.#directory, kept));
    const fields = { code: "STATE_DOCUMENT_CORRUPT", document: name, kept, why };
    this.#log.write("error", "a stored document is corrupt and was set aside", fields);
    return null;
  }
}

const tooLarge = { kind: "corrupt", why: `more than ${limits.checkpointBytesMax} bytes` } as const;

async function attempt<T>(
  work: () => Promise<T>,
  code: string,
): Promise<Parameters<Done<T>>[0]> {
  try {
    return succeed(await work());
  } catch (cause) {
    return fail(toFailure(cause, code));
  }
}

async function readWhole(path: string): Promise<string | "too large" | null> {
  try {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      return size > limits.checkpointBytesMax ? "too large" : await file.readFile("utf8");
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw cause;
  }
}

/**
 * The first free of `NAME.corrupt`, `NAME.corrupt.2`, …; the last one is used again when none is
 * free.
 */
function corruptName(name: string, present: readonly string[]): string {
  for (let number = 1; ; number += 1) {
    const candidate = number === 1 ? `${name}.corrupt` : `${name}.corrupt.${number}`;
    const isLast = number === limits.stateCorruptCopiesMax;
    if (isLast || !present.includes(candidate)) return candidate;
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
