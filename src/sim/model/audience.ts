/**
 * The watchers of one stream, and whom a change of a record concerns. Without a mesh that is everyone. With one, a node
 * sees its own record and its peers'; who belongs to no node, as a controller, sees all.
 */
import type { NodeName } from "../../core/node.js";
import type { Mesh } from "./mesh.js";

/** Of one process; null for one that belongs to no node. */
export interface Owned {
  readonly owner: NodeName | null;
}

export class Audience<W extends Owned> {
  readonly #mesh: Mesh | null;
  /** Who sees everything, in the order in which they began. */
  readonly #all = new Set<W>();
  /** Who sees a part, by the node that it belongs to. */
  readonly #byOwner = new Map<NodeName, Set<W>>();

  constructor(mesh: Mesh | null) {
    this.#mesh = mesh;
  }

  /** @returns what ends it */
  add(watcher: W): () => void {
    if (!this.isPartial(watcher)) {
      this.#all.add(watcher);
      return () => this.#all.delete(watcher);
    }
    const { owner } = watcher;
    const group = this.#byOwner.get(owner) ?? new Set<W>();
    this.#byOwner.set(owner, group.add(watcher));
    return () => {
      group.delete(watcher);
      if (group.size === 0 && this.#byOwner.get(owner) === group) this.#byOwner.delete(owner);
    };
  }

  isPartial(watcher: W): watcher is W & { readonly owner: NodeName } {
    return this.#mesh !== null && watcher.owner !== null;
  }

  /** Is there anyone who sees only a part? */
  get isDivided(): boolean {
    return this.#byOwner.size > 0;
  }

  *everyone(): IterableIterator<W> {
    yield* this.#all;
    yield* this.partial();
  }

  /** Who sees the record of this node. */
  *seeing(name: NodeName): IterableIterator<W> {
    yield* this.#all;
    if (this.#mesh === null) return;
    for (const owner of [name, ...this.#mesh.peersOf(name)]) yield* this.#byOwner.get(owner) ?? [];
  }

  /** Who sees only a part of the records. */
  *partial(): IterableIterator<W> {
    for (const group of this.#byOwner.values()) yield* group;
  }

  /** The records that `watcher` sees, of all that there are. */
  visible<T>(watcher: W, records: ReadonlyMap<NodeName, T>): readonly T[] {
    if (this.#mesh === null || !this.isPartial(watcher)) return [...records.values()];
    const names = [watcher.owner, ...this.#mesh.peersOf(watcher.owner)];
    return names.flatMap((name) => records.get(name) ?? []);
  }
}
