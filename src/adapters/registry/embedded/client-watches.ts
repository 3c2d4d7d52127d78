/**
 * The watches of a client. Each knows the revision up to which it was told everything, and asks for
 * what came after it when the connection is back.
 *
 * Invariant: between `disconnected` and `resumed` a watch gets what it missed, in order and once;
 * if the server can no longer say, it gets `compacted` and is over.
 */
import type { Stop } from "../../../ports/failure.js";
import type { KvEvent } from "../kv.js";
import type { Link } from "./link.js";
import type { ServerMessage } from "./protocol.js";

interface ClientWatch {
  readonly prefix: string;
  readonly listener: (event: KvEvent) => void;
  seen: number;
  /** The server has sent all that was missed: a later answer of its covers this watch too. */
  isCaughtUp: boolean;
  /** Its listener was told `disconnected` and waits for `resumed`. */
  isLost: boolean;
}

export class ClientWatches {
  readonly #link: Link;
  readonly #newId: () => number;
  readonly #watches = new Map<number, ClientWatch>();
  #storeId: string | null = null;

  constructor(link: Link, newId: () => number) {
    this.#link = link;
    this.#newId = newId;
  }

  open(prefix: string, after: number, listener: (event: KvEvent) => void): Stop {
    const id = this.#newId();
    const isLost = !this.#link.isUp;
    this.#watches.set(id, { prefix, listener, seen: after, isCaughtUp: false, isLost });
    if (isLost) queueMicrotask(() => this.#tellLost(id));
    else this.#link.send({ kind: "watch", id, prefix, after });
    return () => {
      if (this.#watches.delete(id) && this.#link.isUp) this.#link.send({ kind: "unwatch", id });
    };
  }

  /** Revisions of another store mean nothing here: then all is listed again. */
  up(storeId: string): void {
    const isReplaced = this.#storeId !== null && this.#storeId !== storeId;
    this.#storeId = storeId;
    for (const [id, { prefix, seen }] of [...this.#watches]) {
      if (isReplaced) this.#compact(id);
      else this.#link.send({ kind: "watch", id, prefix, after: seen });
    }
  }

  down(reason: string): void {
    for (const watch of [...this.#watches.values()]) {
      watch.isCaughtUp = false;
      watch.isLost = true;
      watch.listener({ kind: "disconnected", reason });
    }
  }

  close(): void {
    this.#watches.clear();
  }

  /** False when the message is for someone else. */
  accept(message: ServerMessage): boolean {
    switch (message.kind) {
      case "compacted":
        this.#compact(message.id);
        return true;
      case "changes": {
        const watch = this.#watches.get(message.id);
        if (watch === undefined) return true;
        watch.seen = message.revision;
        const { revision, changes } = message;
        watch.listener({ kind: "changes", revision, changes });
        return true;
      }
      case "caught-up":
        this.#catchUp(message.id, message.revision);
        return true;
      default:
        return false;
    }
  }

  /** The server has told everything up to `revision`; null when it held something back. */
  advance(revision: number | null): void {
    if (revision === null) return;
    for (const watch of this.#watches.values()) {
      if (watch.isCaughtUp) watch.seen = Math.max(watch.seen, revision);
    }
  }

  #catchUp(id: number, revision: number): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    watch.seen = Math.max(watch.seen, revision);
    watch.isCaughtUp = true;
    if (!watch.isLost) return;
    watch.isLost = false;
    watch.listener({ kind: "resumed" });
  }

  #compact(id: number): void {
    const watch = this.#watches.get(id);
    this.#watches.delete(id);
    watch?.listener({ kind: "compacted" });
  }

  /** Opened while the connection was lost, unless it has come back since. */
  #tellLost(id: number): void {
    const watch = this.#watches.get(id);
    if (watch?.isLost !== true || watch.isCaughtUp) return;
    watch.listener({ kind: "disconnected", reason: this.#link.lastFault });
  }
}
