/**
 * Tells when the file behind a path may have changed: by watching its directory and the directory
 * of the file that the path resolves to, and by a slow poll besides. A watch on the file itself is
 * deaf after the first symlink swap of a mounted Kubernetes Secret. It never says what changed: the
 * reader looks at the content.
 */
import { realpathSync, statSync, watch, type FSWatcher } from "node:fs";
import { dirname } from "node:path";
import type { Stop } from "../../ports/failure.js";

export interface PathWatchOptions {
  readonly path: string;
  readonly pollMs: number;
  /** A burst of events is one call, this long after its first event. */
  readonly settleMs: number;
  /** The watch is armed before each call, so a change after it makes another call. */
  readonly changed: () => void;
  /** Directories cannot be watched and are only polled; called once. */
  readonly degraded: (reason: string) => void;
}

export function watchPath(options: PathWatchOptions): Stop {
  const watched = new PathWatch(options);
  return () => watched.stop();
}

interface WatchedDirectory {
  /** Device and inode: a directory made anew under an old name needs a new watch. */
  readonly identity: string;
  readonly watcher: FSWatcher;
}

class PathWatch {
  readonly #options: PathWatchOptions;
  readonly #directories = new Map<string, WatchedDirectory>();
  readonly #poll: NodeJS.Timeout;
  #settling: NodeJS.Timeout | null = null;
  #degraded = false;

  constructor(options: PathWatchOptions) {
    this.#options = options;
    this.#arm();
    this.#poll = setInterval(() => this.#look(), options.pollMs);
  }

  stop(): void {
    clearInterval(this.#poll);
    if (this.#settling !== null) clearTimeout(this.#settling);
    for (const path of [...this.#directories.keys()]) this.#drop(path);
  }

  #look(): void {
    this.#arm();
    this.#options.changed();
  }

  #noticed(): void {
    this.#settling ??= setTimeout(() => {
      this.#settling = null;
      this.#look();
    }, this.#options.settleMs);
  }

  #arm(): void {
    const wanted = directoriesOf(this.#options.path);
    for (const [path, { identity }] of [...this.#directories]) {
      if (wanted.get(path) !== identity) this.#drop(path);
    }
    for (const [path, identity] of wanted) {
      if (!this.#directories.has(path)) this.#add(path, identity);
    }
  }

  #add(path: string, identity: string): void {
    try {
      const watcher = watch(path, () => this.#noticed());
      watcher.on("error", (error) => {
        this.#drop(path);
        this.#degrade(error);
      });
      this.#directories.set(path, { identity, watcher });
    } catch (cause) {
      // It went away since it was looked at.
      if ((cause as NodeJS.ErrnoException).code !== "ENOENT") this.#degrade(cause as Error);
    }
  }

  #drop(path: string): void {
    this.#directories.get(path)?.watcher.close();
    this.#directories.delete(path);
  }

  #degrade(error: Error): void {
    if (this.#degraded) return;
    this.#degraded = true;
    this.#options.degraded(error.message);
  }
}

/**
 * Directory and its identity. The first names the entry, the second holds the bytes; often they are
 * one.
 */
function directoriesOf(path: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  // What is not there yet, or may not be entered, is left to the poll; the reader tells of it.
  for (const directory of [dirname(path), attempt(() => dirname(realpathSync(path)))]) {
    if (directory === null) continue;
    const stats = attempt(() => statSync(directory));
    if (stats !== null) found.set(directory, `${stats.dev}:${stats.ino}`);
  }
  return found;
}

function attempt<T>(look: () => T): T | null {
  try {
    return look();
  } catch {
    return null;
  }
}
