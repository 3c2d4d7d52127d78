/**
 * A watch of one record as the port's events. While it is unreadable, the value last read stays.
 */
import type { z } from "zod";
import type { Stop } from "../../ports/failure.js";
import type { SingleEvent, Versioned } from "../../ports/registry.js";
import { follow } from "./follow.js";
import type { KvItem, KvReader } from "./kv.js";
import { decode, type InvalidRecord } from "./records.js";

export interface SingleSource<T> {
  readonly key: string;
  readonly schema: z.ZodType<T>;
}

export interface SingleSink<T> {
  readonly listener: (event: SingleEvent<T>) => void;
  readonly skipped: (record: InvalidRecord) => void;
}

export function watchSingle<T>(kv: KvReader, source: SingleSource<T>, sink: SingleSink<T>): Stop {
  const { key, schema } = source;
  let last: Versioned<T> | null = null;
  function tell(): void {
    if (last !== null) sink.listener({ kind: "value", object: last });
  }
  function see(item: KvItem | null): void {
    const decoded = item === null ? null : decode(schema, item);
    if (decoded?.kind === "invalid") return sink.skipped(decoded.record);
    last = { version: item?.revision ?? 0, value: decoded?.value ?? null };
    tell();
  }
  return follow(kv, { list: () => kv.get([key]), prefix: key }, {
    listing: (snapshot) => {
      see(snapshot.items[0] ?? null);
    },
    event: (event) => {
      if (event.kind === "resumed") return tell();
      if (event.kind === "disconnected") return sink.listener(event);
      for (const { value, fault } of event.changes.filter((change) => change.key === key)) {
        see(value === null ? null : { key, value, revision: event.revision, fault });
      }
    },
  });
}
