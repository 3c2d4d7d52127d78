/**
 * One owner per directory, also across containers that share it, and after kill -9.
 * Each contender first listens on a socket of its own in the directory, under a name that is never
 * used again, and then looks for others. Who sees a living one gives way. Of two contenders the one
 * that listened last sees the other, so two owners are impossible; two that see each other both
 * give way and try again after a random wait. A socket listens before it gets its name, so one that
 * refuses connections is of a process that is gone, and its unique name makes removing it safe. No
 * process ids are trusted: they are reused, and mean nothing in another container.
 */
import { randomBytes, randomInt } from "node:crypto";
import { open, readdir, rename, type FileHandle } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";
import { removeIfPresent } from "./atomic-write.js";

export interface DirectoryLock {
  release(): Promise<void>;
}

/**
 * @throws PortError STATE_DIR_IN_USE, or the system's error when the directory cannot hold a socket
 */
export async function lockDirectory(directory: string): Promise<DirectoryLock> {
  for (let attempt = 1; ; attempt += 1) {
    const lock = await announce(directory);
    const other = await findLivingOther(lock).catch(async (cause: unknown) => {
      await lock.release();
      throw cause;
    });
    if (other === null) return lock;
    await lock.release();
    if (attempt === limits.stateLockAttemptsMax) throw inUse(directory, other);
    await wait(randomInt(limits.stateLockWaitMsMin, limits.stateLockWaitMsMax));
  }
}

function inUse(directory: string, socketName: string): PortError {
  const pid = socketNamePattern.exec(socketName)?.[1] ?? "unknown";
  const message =
    `${directory} is in use by process ${pid}: ` +
    "stop that agent, or give this one a state directory of its own";
  return new PortError("STATE_DIR_IN_USE", message, true);
}

/** The process id is only shown. */
const socketNamePattern = /^lock\.(\d+)\.[0-9a-f]{16}\.sock$/;

interface Announcement extends DirectoryLock {
  /** The directory, by a path short enough for a socket's address. */
  readonly base: string;
  readonly socketName: string;
}

async function announce(directory: string): Promise<Announcement> {
  const handle = await open(directory, "r");
  const base = shortPath(directory, handle);
  const unnamed = join(base, `lock.${randomBytes(8).toString("hex")}.new`);
  const socketName = `lock.${process.pid}.${randomBytes(8).toString("hex")}.sock`;
  let server: Server | null = null;
  const release = async (): Promise<void> => {
    await closed(server);
    await removeIfPresent(join(base, socketName));
    // Last, because `base` is a path through it.
    await handle.close();
  };
  try {
    server = await listen(unnamed);
    await rename(unnamed, join(base, socketName));
    return { base, socketName, release };
  } catch (cause) {
    await release();
    throw cause;
  }
}

/**
 * A socket's path has 107 bytes at most (unix(7)), and Node.js 20 cuts a longer one without a word.
 * Linux reaches a directory through its open handle.
 */
function shortPath(directory: string, handle: FileHandle): string {
  return process.platform === "linux" ? `/proc/self/fd/${handle.fd}` : directory;
}

function closed(server: Server | null): Promise<void> {
  return new Promise((done) => (server === null ? done() : server.close(() => done())));
}

function listen(path: string): Promise<Server> {
  return new Promise((listening, failed) => {
    const server = createServer((connection) => connection.destroy());
    server.once("error", failed);
    server.listen(path, () => listening(server));
    // Holding a lock is no reason for a process to stay.
    server.unref();
  });
}

async function findLivingOther({ base, socketName }: Announcement): Promise<string | null> {
  for (const name of await readdir(base)) {
    if (name === socketName || !socketNamePattern.test(name)) continue;
    if (await isListening(join(base, name))) return name;
    await removeIfPresent(join(base, name));
  }
  return null;
}

/** Any doubt counts as alive: a full backlog or missing permission is no proof of death. */
function isListening(path: string): Promise<boolean> {
  return new Promise((answer) => {
    const connection = connect(path);
    connection.once("connect", () => {
      connection.destroy();
      answer(true);
    });
    connection.once("error", (error: NodeJS.ErrnoException) => {
      answer(error.code !== "ECONNREFUSED" && error.code !== "ENOENT");
    });
  });
}
