/**
 * The state directory of one simulated host. A save is written some time after it was asked for, and synced and
 * acknowledged after that. A process that dies in between leaves what it has written, which nobody acknowledged; a host
 * that goes down leaves what was synced. Either way a document is the old one or the new one, never half of both.
 */
import { succeed } from "../../core/result.js";
import type { StoragePort } from "../../ports/storage.js";
import type { VirtualTime } from "../engine/virtual-time.js";

/** The text of a document is made when somebody reads it. */
type Format = () => string;

export class SimDisk {
  readonly #synced = new Map<string, Format>();
  /** Newer than the synced one, and lost with the host. */
  readonly #written = new Map<string, Format>();
  readonly #underWay = new Map<string, { readonly format: Format; readonly writtenAtMs: number }>();
  #saves = 0;

  /** Documents synced so far. */
  get saves(): number {
    return this.#saves;
  }

  /** Something is asked for and not acknowledged yet. */
  get isBusy(): boolean {
    return this.#underWay.size > 0;
  }

  /** What a process that starts would read, null when there is none. */
  read(name: string): string | null {
    const format = this.#written.get(name) ?? this.#synced.get(name);
    return format === undefined ? null : format();
  }

  begin(name: string, format: Format, writtenAtMs: number): void {
    this.#underWay.set(name, { format, writtenAtMs });
  }

  sync(name: string, format: Format): void {
    this.#underWay.delete(name);
    this.#written.delete(name);
    this.#synced.set(name, format);
    this.#saves += 1;
  }

  processDied(nowMs: number): void {
    for (const [name, { format, writtenAtMs }] of this.#underWay) {
      if (writtenAtMs <= nowMs) this.#written.set(name, format);
    }
    this.#underWay.clear();
  }

  hostDied(): void {
    this.#written.clear();
  }
}

/** @param saveMs from the request to the acknowledgement; the document is written half way */
export function storageOf(disk: SimDisk, time: VirtualTime, isAlive: () => boolean, saveMs: () => number): StoragePort {
  return {
    load: (name, done) => time.post(time.nowMs, () => isAlive() && done(succeed(disk.read(name)))),
    save: (name, format, done) => {
      const tookMs = saveMs();
      disk.begin(name, format, time.nowMs + tookMs / 2);
      time.post(time.nowMs + tookMs, () => {
        if (!isAlive()) return;
        disk.sync(name, format);
        done(succeed(null));
      });
    },
  };
}
