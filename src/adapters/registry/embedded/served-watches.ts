/**
 * The watches of one client. Invariant: a watch that cannot be told a change for lack of room is
 * told `compacted` instead, as soon as there is room; it never misses one unknowingly.
 */
import type { Stop } from "../../../ports/failure.js";
import type { KvChanges } from "../kv.js";
import type { EmbeddedEngine, EngineEvent } from "./engine.js";
import type { Outbox } from "./outbox.js";

export class ServedWatches {
  readonly #engine: EmbeddedEngine;
  readonly #outbox: Outbox;
  readonly #stops = new Map<number, Stop>();
  /** Lost changes, and have not been told yet. */
  readonly #behind = new Set<number>();

  constructor(engine: EmbeddedEngine, outbox: Outbox) {
    this.#engine = engine;
    this.#outbox = outbox;
  }

  /** @throws PortError REGISTRY_REQUEST_INVALID */
  open(id: number, prefix: string, after: number): void {
    this.close(id);
    this.#stops.set(id, this.#engine.observe(prefix, after, (event) => this.#tell(id, event)));
  }

  close(id: number): void {
    this.#behind.delete(id);
    this.#stops.get(id)?.();
    this.#stops.delete(id);
  }

  closeAll(): void {
    for (const id of [...this.#stops.keys()]) this.close(id);
  }

  /** Up to here every watch that has caught up was told everything; null while some are behind. */
  toldRevision(): number | null {
    return this.#behind.size === 0 ? this.#engine.published : null;
  }

  /** There is room again. */
  tellBehind(): void {
    for (const id of this.#behind) this.#compact(id);
  }

  #tell(id: number, event: EngineEvent): void {
    if (event.kind === "compacted") return this.#compact(id);
    if (this.#outbox.isFull) return this.#fallBehind(id);
    if (event.kind === "changes") return this.#outbox.send(changesText(id, event));
    this.#outbox.send(JSON.stringify({ kind: "caught-up", id, revision: event.revision }));
  }

  #fallBehind(id: number): void {
    this.close(id);
    this.#behind.add(id);
  }

  #compact(id: number): void {
    this.close(id);
    this.#outbox.send(JSON.stringify({ kind: "compacted", id }));
  }
}

/**
 * The engine gives the same object to all watches of a prefix, over all connections: it is turned
 * into text once.
 */
const texts = new WeakMap<KvChanges, string>();

function changesText(id: number, event: KvChanges): string {
  let rest = texts.get(event);
  if (rest === undefined) {
    const { revision, changes } = event;
    rest = JSON.stringify({ kind: "changes", revision, changes }).slice(1);
    texts.set(event, rest);
  }
  return `{"id":${id},${rest}`;
}
