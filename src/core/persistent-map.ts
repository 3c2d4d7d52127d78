/**
 * An immutable map by string key that shares structure with the map it was made from: a change costs the depth of the
 * tree (two levels at 1,000 keys), so a state can be kept, compared and thrown away per step. A hash array mapped trie
 * (Bagwell, 2001) with 32-way nodes. Iteration order depends on the keys alone, never on the history.
 */

interface Leaf<V> {
  readonly kind: "leaf";
  readonly hash: number;
  readonly items: readonly (readonly [string, V])[];
}

interface Branch<V> {
  readonly kind: "branch";
  readonly bitmap: number;
  readonly children: readonly Trie<V>[];
}

type Trie<V> = Leaf<V> | Branch<V>;

const emptyBranch: Branch<never> = { kind: "branch", bitmap: 0, children: [] };
const levelBits = 5;

export class PersistentMap<K extends string, V> {
  readonly size: number;
  readonly #root: Branch<V>;

  private constructor(root: Branch<V>, size: number) {
    this.#root = root;
    this.size = size;
  }

  static readonly #empty = new PersistentMap<string, never>(emptyBranch, 0);

  static empty<K extends string, V>(): PersistentMap<K, V> {
    return PersistentMap.#empty as unknown as PersistentMap<K, V>;
  }

  static from<K extends string, V>(entries: Iterable<readonly [K, V]>): PersistentMap<K, V> {
    let map = PersistentMap.empty<K, V>();
    for (const [key, value] of entries) map = map.set(key, value);
    return map;
  }

  get(key: K): V | undefined {
    return find(this.#root, hashOf(key), key);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  /** The same map when the key already has this very value. */
  set(key: K, value: V): PersistentMap<K, V> {
    const hash = hashOf(key);
    const before = find(this.#root, hash, key);
    if (before === value && before !== undefined) return this;
    const root = insert(this.#root, 0, hash, key, value) as Branch<V>;
    return new PersistentMap<K, V>(root, before === undefined ? this.size + 1 : this.size);
  }

  delete(key: K): PersistentMap<K, V> {
    const hash = hashOf(key);
    if (find(this.#root, hash, key) === undefined) return this;
    if (this.size === 1) return PersistentMap.empty<K, V>();
    const root = remove(this.#root, 0, hash, key);
    return new PersistentMap<K, V>((root ?? emptyBranch) as Branch<V>, this.size - 1);
  }

  *entries(): IterableIterator<readonly [K, V]> {
    yield* entriesOf(this.#root) as IterableIterator<readonly [K, V]>;
  }

  *keys(): IterableIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  [Symbol.iterator](): IterableIterator<readonly [K, V]> {
    return this.entries();
  }
}

/** FNV-1a, 32 bits. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function find<V>(root: Branch<V>, hash: number, key: string): V | undefined {
  let trie: Trie<V> | undefined = root;
  for (let shift = 0; trie !== undefined && trie.kind === "branch"; shift += levelBits) {
    trie = childAt(trie, bitAt(hash, shift));
  }
  if (trie === undefined) return undefined;
  for (const item of trie.items) if (item[0] === key) return item[1];
  return undefined;
}

function bitAt(hash: number, shift: number): number {
  return 1 << ((hash >>> shift) & 31);
}

function positionOf(bitmap: number, bit: number): number {
  return countBits(bitmap & (bit - 1));
}

function countBits(value: number): number {
  let bits = value - ((value >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function childAt<V>(branch: Branch<V>, bit: number): Trie<V> | undefined {
  if ((branch.bitmap & bit) === 0) return undefined;
  return branch.children[positionOf(branch.bitmap, bit)];
}

function withChild<V>(branch: Branch<V>, bit: number, child: Trie<V>): Branch<V> {
  const position = positionOf(branch.bitmap, bit);
  const replaces = (branch.bitmap & bit) !== 0;
  const children = branch.children.slice();
  children.splice(position, replaces ? 1 : 0, child);
  return { kind: "branch", bitmap: branch.bitmap | bit, children };
}

function insert<V>(trie: Trie<V>, shift: number, hash: number, key: string, value: V): Trie<V> {
  if (trie.kind === "leaf") return insertIntoLeaf(trie, shift, hash, key, value);
  const bit = bitAt(hash, shift);
  const child = childAt(trie, bit);
  if (child === undefined) return withChild(trie, bit, { kind: "leaf", hash, items: [[key, value]] });
  return withChild(trie, bit, insert(child, shift + levelBits, hash, key, value));
}

function insertIntoLeaf<V>(leaf: Leaf<V>, shift: number, hash: number, key: string, value: V): Trie<V> {
  if (leaf.hash === hash) {
    const others = leaf.items.filter(([itemKey]) => itemKey !== key);
    const items = [...others, [key, value] as const].sort(([one], [other]) => (one < other ? -1 : 1));
    return { kind: "leaf", hash, items };
  }
  const split = withChild(emptyBranch as Branch<V>, bitAt(leaf.hash, shift), leaf);
  return insert(split, shift, hash, key, value);
}

function remove<V>(trie: Trie<V>, shift: number, hash: number, key: string): Trie<V> | undefined {
  if (trie.kind === "leaf") {
    const items = trie.items.filter(([itemKey]) => itemKey !== key);
    return items.length === 0 ? undefined : { kind: "leaf", hash: trie.hash, items };
  }
  const bit = bitAt(hash, shift);
  const child = childAt(trie, bit);
  if (child === undefined) return trie;
  return withoutOrWith(trie, bit, remove(child, shift + levelBits, hash, key), shift);
}

/** Keeps the trie canonical: a branch below the root with one leaf is that leaf. */
function withoutOrWith<V>(branch: Branch<V>, bit: number, child: Trie<V> | undefined, shift: number): Trie<V> | undefined {
  if (child !== undefined) {
    const changed = withChild(branch, bit, child);
    return shift > 0 && changed.children.length === 1 && child.kind === "leaf" ? child : changed;
  }
  const children = branch.children.slice();
  children.splice(positionOf(branch.bitmap, bit), 1);
  const only = children[0];
  if (only === undefined) return undefined;
  if (shift > 0 && children.length === 1 && only.kind === "leaf") return only;
  return { kind: "branch", bitmap: branch.bitmap & ~bit, children };
}

function* entriesOf<V>(trie: Trie<V>): IterableIterator<readonly [string, V]> {
  if (trie.kind === "leaf") {
    yield* trie.items;
    return;
  }
  for (const child of trie.children) yield* entriesOf(child);
}
