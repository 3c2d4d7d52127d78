/**
 * An immutable map by string key that shares structure with the map it was made from: a change costs the depth of the
 * tree (two levels at 1,000 keys), so a state can be kept, compared and thrown away per step. A hash array mapped trie
 * (Bagwell, 2001) with 32-way branches that hold their entries themselves, as compressed ones do (Steindorfer and Vinju,
 * 2015): an entry costs two cells. Iteration order depends on the keys alone, never on the history.
 */

/**
 * For each set bit, in their order, two cells: a key and its value, or null and the branch below. Where the hash has no
 * bits left, keys of one hash stand in order without a bitmap.
 */
interface Branch {
  readonly bitmap: number;
  readonly cells: readonly unknown[];
}

const emptyBranch: Branch = { bitmap: 0, cells: [] };
const levelBits = 5;
const hashBits = 32;

export class PersistentMap<K extends string, V> {
  readonly size: number;
  readonly #root: Branch;

  private constructor(root: Branch, size: number) {
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
    return this.size === 0 ? undefined : (find(this.#root, hashOf(key), key) as V | undefined);
  }

  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  /** The same map when the key already has this very value. */
  set(key: K, value: V): PersistentMap<K, V> {
    const hash = hashOf(key);
    const before = find(this.#root, hash, key);
    if (before === value && before !== undefined) return this;
    const root = insert(this.#root, 0, hash, key, value);
    return new PersistentMap<K, V>(root, before === undefined ? this.size + 1 : this.size);
  }

  delete(key: K): PersistentMap<K, V> {
    if (this.size === 0) return this;
    const hash = hashOf(key);
    if (find(this.#root, hash, key) === undefined) return this;
    if (this.size === 1) return PersistentMap.empty<K, V>();
    return new PersistentMap<K, V>(remove(this.#root, 0, hash, key), this.size - 1);
  }

  entries(): IterableIterator<readonly [K, V]> {
    return new Entries<K, V>(this.#root);
  }

  *keys(): IterableIterator<K> {
    for (const [key] of this.entries()) yield key;
  }

  [Symbol.iterator](): IterableIterator<readonly [K, V]> {
    return this.entries();
  }
}

/** Goes through a trie depth first. By hand, as generators within generators cost several times the rest. */
class Entries<K, V> implements IterableIterator<readonly [K, V]> {
  readonly #above: { readonly branch: Branch; readonly at: number }[] = [];
  #branch: Branch;
  #at = 0;

  constructor(root: Branch) {
    this.#branch = root;
  }

  next(): IteratorResult<readonly [K, V], undefined> {
    for (;;) {
      const { cells } = this.#branch;
      const at = this.#at;
      if (at < cells.length) {
        this.#at = at + 2;
        if (cells[at] !== null) return { done: false, value: [cells[at] as K, cells[at + 1] as V] };
        this.#above.push({ branch: this.#branch, at: this.#at });
        this.#branch = cells[at + 1] as Branch;
        this.#at = 0;
        continue;
      }
      const above = this.#above.pop();
      if (above === undefined) return { done: true, value: undefined };
      this.#branch = above.branch;
      this.#at = above.at;
    }
  }

  [Symbol.iterator](): this {
    return this;
  }
}

/** FNV-1a, 32 bits. */
function hashOf(key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

function find(root: Branch, hash: number, key: string): unknown {
  let branch = root;
  for (let shift = 0; shift < hashBits; shift += levelBits) {
    const bit = bitAt(hash, shift);
    if ((branch.bitmap & bit) === 0) return undefined;
    const at = cellOf(branch, bit);
    const found = branch.cells[at];
    if (found !== null) return found === key ? branch.cells[at + 1] : undefined;
    branch = branch.cells[at + 1] as Branch;
  }
  const at = cellOfKey(branch, key);
  return branch.cells[at] === key ? branch.cells[at + 1] : undefined;
}

function bitAt(hash: number, shift: number): number {
  return 1 << ((hash >>> shift) & 31);
}

function cellOf(branch: Branch, bit: number): number {
  return 2 * countBits(branch.bitmap & (bit - 1));
}

function countBits(value: number): number {
  let bits = value - ((value >>> 1) & 0x55555555);
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333);
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** Below the last level: where `key` is, or belongs. */
function cellOfKey({ cells }: Branch, key: string): number {
  let at = 0;
  while (at < cells.length && (cells[at] as string) < key) at += 2;
  return at;
}

function insert(branch: Branch, shift: number, hash: number, key: string, value: unknown): Branch {
  if (shift >= hashBits) return insertByKey(branch, key, value);
  const bit = bitAt(hash, shift);
  const at = cellOf(branch, bit);
  if ((branch.bitmap & bit) === 0) return withCells(branch.bitmap | bit, branch.cells, at, 0, key, value);
  const found = branch.cells[at] as string | null;
  if (found === key) return withCells(branch.bitmap, branch.cells, at, 2, key, value);
  const child =
    found === null
      ? (branch.cells[at + 1] as Branch)
      : insert(emptyBranch, shift + levelBits, hashOf(found), found, branch.cells[at + 1]);
  return withCells(branch.bitmap, branch.cells, at, 2, null, insert(child, shift + levelBits, hash, key, value));
}

function insertByKey(branch: Branch, key: string, value: unknown): Branch {
  const at = cellOfKey(branch, key);
  return withCells(0, branch.cells, at, branch.cells[at] === key ? 2 : 0, key, value);
}

/** Made to size: an array that grew keeps room that every branch of every agent would pay for. */
function withCells(
  bitmap: number,
  cells: readonly unknown[],
  at: number,
  replaced: number,
  key: string | null,
  value: unknown,
): Branch {
  if (replaced === 0) return { bitmap, cells: cells.toSpliced(at, 0, key, value) };
  const changed = cells.slice();
  changed[at] = key;
  changed[at + 1] = value;
  return { bitmap, cells: changed };
}

/** `key` is there, and not alone. */
function remove(branch: Branch, shift: number, hash: number, key: string): Branch {
  if (shift >= hashBits) return { bitmap: 0, cells: branch.cells.toSpliced(cellOfKey(branch, key), 2) };
  const bit = bitAt(hash, shift);
  const at = cellOf(branch, bit);
  if (branch.cells[at] !== null) return { bitmap: branch.bitmap & ~bit, cells: branch.cells.toSpliced(at, 2) };
  const child = remove(branch.cells[at + 1] as Branch, shift + levelBits, hash, key);
  return withBranch(branch, at, child);
}

/** Keeps the trie canonical: a branch below the root with one entry is that entry. */
function withBranch(branch: Branch, at: number, child: Branch): Branch {
  const isOneEntry = child.cells.length === 2 && child.cells[0] !== null;
  const [key, value] = isOneEntry ? [child.cells[0] as string, child.cells[1]] : [null, child];
  return withCells(branch.bitmap, branch.cells, at, 2, key, value);
}
