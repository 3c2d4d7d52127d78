/**
 * A watch of many records as the port's events. It keeps the records it has read: after a reconnect
 * without a gap it shows the whole listing without asking for it again, and a record that became
 * unreadable stays as last read.
 *
 * Invariant: an unreadable record is neither a change nor a removal; a listing names it, at once.
 */
import type { Stop } from "../../ports/failure.js";
import type { WatchEvent } from "../../ports/registry.js";
import { follow } from "./follow.js";
import type { KvChanges, KvItem, KvReader, KvSnapshot } from "./kv.js";
import type { Decoded, InvalidRecord } from "./records.js";

export interface ListSource<T> {
  /** What a listing reads: the items, and what their revision is kept in. */
  readonly listingPrefix: string;
  /** Keys of items; what follows it is the name. */
  readonly prefix: string;
  readonly read: (item: KvItem) => Decoded<T>;
  /** The revision that a listing shows. */
  readonly revisionOf: (snapshot: KvSnapshot) => number;
}

export interface ListSink<T> {
  readonly listener: (event: WatchEvent<T>) => void;
  readonly skipped: (record: InvalidRecord) => void;
}

export function watchList<T>(kv: KvReader, source: ListSource<T>, sink: ListSink<T>): Stop {
  const view: ListView<T> = { items: new Map(), unreadable: new Set(), revision: 0 };
  const list = (): Promise<KvSnapshot> => kv.range(source.listingPrefix, undefined, "follow");
  return follow(kv, { list, prefix: source.prefix }, {
    listing: (snapshot) => {
      replace(view, source, sink, snapshot);
      sink.listener(listingOf(view, source));
    },
    event: (event) => {
      if (event.kind === "changes") change(view, source, sink, event);
      else if (event.kind === "resumed") sink.listener(listingOf(view, source));
      else sink.listener(event);
    },
  });
}

/** What one watch knows, by key. */
interface ListView<T> {
  readonly items: Map<string, T>;
  readonly unreadable: Set<string>;
  revision: number;
}

function listingOf<T>(view: ListView<T>, source: ListSource<T>): WatchEvent<T> {
  const { revision } = view;
  const items = [...view.items.values()];
  if (view.unreadable.size === 0) return { kind: "listing", revision, items };
  const unreadable = [...view.unreadable].map((key) => key.slice(source.prefix.length));
  return { kind: "listing", revision, items, unreadable };
}

function replace<T>(
  view: ListView<T>,
  source: ListSource<T>,
  sink: ListSink<T>,
  snapshot: KvSnapshot,
): void {
  const present = snapshot.items.filter((item) => item.key.startsWith(source.prefix));
  const keys = new Set(present.map((item) => item.key));
  for (const key of view.items.keys()) if (!keys.has(key)) view.items.delete(key);
  view.unreadable.clear();
  for (const item of present) take(view, source, sink, item);
  view.revision = source.revisionOf(snapshot);
}

function change<T>(
  view: ListView<T>,
  source: ListSource<T>,
  sink: ListSink<T>,
  { revision, changes }: KvChanges,
): void {
  // A record that the store does not vouch for has no revision to go by.
  view.revision = Math.max(view.revision, revision);
  for (const { key, value, fault } of changes) {
    if (value === null) {
      view.items.delete(key);
      view.unreadable.delete(key);
      sink.listener({ kind: "removed", revision: view.revision, name: key.slice(source.prefix.length) });
      continue;
    }
    const decoded = take(view, source, sink, { key, value, revision, fault });
    sink.listener(decoded.kind === "valid" ? { kind: "put", revision, item: decoded.value } : listingOf(view, source));
  }
}

function take<T>(
  view: ListView<T>,
  source: ListSource<T>,
  sink: ListSink<T>,
  item: KvItem,
): Decoded<T> {
  const decoded = source.read(item);
  if (decoded.kind === "valid") {
    view.unreadable.delete(item.key);
    view.items.set(item.key, decoded.value);
    return decoded;
  }
  view.unreadable.add(item.key);
  sink.skipped(decoded.record);
  return decoded;
}
