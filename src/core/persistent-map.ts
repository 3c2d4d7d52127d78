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
  bitmap: number;
  cells: unknown[];
  /** The edit that made it and may change it until it is done. */
  readonly owner: object | null;
}

const emptyBranch: Branch = { bitmap: 0, cells: [], owner: null };
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
    return this.edit().put(key, value).done();
  }

  delete(key: K): PersistentMap<K, V> {
    return this.edit().put(key, undefined).done();
  }

  /** Many changes at once: what one of them copied, the others change in place. */
  edit(): MapEdit<K, V> {
    return new MapEdit<K, V>(this, this.#root);
  }

  /** For `MapEdit`: the map that an edit made of this one. */
  become(root: Branch, size: number): PersistentMap<K, V> {
    if (root === this.#root) return this;
    return size === 0 ? PersistentMap.empty<K, V>() : new PersistentMap<K, V>(root, size);
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

/** Changes to one map, which itself stays as it is. Not to be used after `done`. */
class MapEdit<K extends string, V> {
  readonly #from: PersistentMap<K, V>;
  readonly #owner = {};
  #root: Branch;
  #size: number;

  constructor(from: PersistentMap<K, V>, root: Branch) {
    this.#from = from;
    this.#root = root;
    this.#size = from.size;
  }

  /** @param value undefined to delete */
  put(key: K, value: V | undefined): this {
    if (value === undefined && this.#size === 0) return this;
    const hash = hashOf(key);
    const before = find(this.#root, hash, key);
    if (before === value) return this;
    if (value === undefined) this.#root = remove(this.#root, 0, hash, key, this.#owner);
    else this.#root = insert(this.#root, 0, hash, key, value, this.#owner);
    this.#size += Number(value !== undefined) - Number(before !== undefined);
    return this;
  }

  done(): PersistentMap<K, V> {
    return this.#from.become(this.#root, this.#size);
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

function owned(branch: Branch, owner: object): Branch {
  return branch.owner === owner ? branch : { bitmap: branch.bitmap, cells: branch.cells.slice(), owner };
}

/** Cells are added by `toSpliced`, made to size: a list that grew keeps room that every branch of every agent would pay for. */
function insert(branch: Branch, shift: number, hash: number, key: string, value: unknown, owner: object): Branch {
  const mine = owned(branch, owner);
  const { cells } = mine;
  if (shift >= hashBits) return insertByKey(mine, key, value);
  const bit = bitAt(hash, shift);
  const at = cellOf(mine, bit);
  if ((mine.bitmap & bit) === 0) {
    mine.bitmap |= bit;
    mine.cells = cells.toSpliced(at, 0, key, value);
    return mine;
  }
  const found = cells[at] as string | null;
  if (found === key) {
    cells[at + 1] = value;
    return mine;
  }
  const below = shift + levelBits;
  const child =
    found === null
      ? (cells[at + 1] as Branch)
      : insert(emptyBranch, below, hashOf(found), found, cells[at + 1], owner);
  cells[at] = null;
  cells[at + 1] = insert(child, below, hash, key, value, owner);
  return mine;
}

function insertByKey(mine: Branch, key: string, value: unknown): Branch {
  const at = cellOfKey(mine, key);
  mine.cells = mine.cells.toSpliced(at, mine.cells[at] === key ? 2 : 0, key, value);
  return mine;
}

/** `key` is there. Keeps the trie canonical: a branch below the root with one entry is that entry. */
function remove(branch: Branch, shift: number, hash: number, key: string, owner: object): Branch {
  const mine = owned(branch, owner);
  const { cells } = mine;
  if (shift >= hashBits) {
    mine.cells = cells.toSpliced(cellOfKey(mine, key), 2);
    return mine;
  }
  const bit = bitAt(hash, shift);
  const at = cellOf(mine, bit);
  if (cells[at] !== null) {
    mine.bitmap &= ~bit;
    mine.cells = cells.toSpliced(at, 2);
    return mine;
  }
  const child = remove(cells[at + 1] as Branch, shift + levelBits, hash, key, owner);
  const isOneEntry = child.cells.length === 2 && child.cells[0] !== null;
  cells[at] = isOneEntry ? child.cells[0] : null;
  cells[at + 1] = isOneEntry ? child.cells[1] : child;
  return mine;
}
