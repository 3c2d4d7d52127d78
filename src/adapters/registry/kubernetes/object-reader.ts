/**
 * The reading half of a store (../kv.ts) over the Kubernetes API: listings in pages, and watches
 * that the server ends now and then and that go on where they were.
 *
 * A watch that broke goes on where it was, once: what happened meanwhile comes first. One that fails
 * again lists again: after an outage the server has mostly forgotten the history, and who returns
 * after a random wait spares it from all at once. It never goes on from a view that may have a gap,
 * and never asks without a pause.
 */
import { limits } from "../../../core/limits.js";
import type { Stop } from "../../../ports/failure.js";
import { systemClock } from "../../system/clock.js";
import { backoffMs, pause } from "../backoff.js";
import { rosterListingPrefix, rosterMetaKey, rosterPrefix } from "../keys.js";
import type { KvEvent, KvItem, KvReader, KvSnapshot } from "../kv.js";
import { portErrorOf } from "../settle.js";
import { assert } from "../../../core/assert.js";
import type { ApiClient, ApiRequest } from "./api-client.js";
import { collectionOf, rosterCollection, type Collection, type Seen } from "./collections.js";
import { gatewayCollectionOf } from "./gateway-collections.js";
import { resourcePath, versionOf, type KubeObject } from "./kube-object.js";
import { listObjects } from "./list-objects.js";
import { watchStream, type ObjectChange, type WatchEnd } from "./watch-stream.js";

export class ObjectReader implements KvReader {
  readonly #client: ApiClient;
  readonly #idleMs: number;
  constructor(client: ApiClient, idleMs: number = limits.kubernetesIdleMsMax) {
    this.#client = client;
    this.#idleMs = idleMs;
  }

  async get(keys: readonly string[]): Promise<KvSnapshot> {
    const [key, ...others] = keys;
    assert(key !== undefined && others.length === 0, "one object is read at a time");
    return this.range(key);
  }

  async range(prefix: string, _limit?: number, purpose?: "follow"): Promise<KvSnapshot> {
    const mayBeLate = purpose === "follow";
    if (prefix === rosterListingPrefix) return this.#roster(mayBeLate);
    const { version, seen } = await this.#list(knownCollection(prefix), mayBeLate);
    return { revision: version, items: itemsOf(seen) };
  }

  watch(prefix: string, after: number, listener: (event: KvEvent) => void): Stop {
    const stopping = new AbortController();
    const { signal } = stopping;
    const tell = (event: KvEvent): void => {
      if (!signal.aborted) listener(event);
    };
    void this.#follow(knownCollection(prefix), after, tell, signal);
    return () => stopping.abort();
  }

  /** With what stands for the ledger: the revision of the last change, which is always visible. */
  async #roster(mayBeLate: boolean): Promise<KvSnapshot> {
    const { version, seen } = await this.#list(rosterCollection, mayBeLate);
    const revision = seen.reduce((last, one) => Math.max(last, one.revision), 0);
    const ledger = { key: rosterMetaKey, value: "", revision };
    return { revision: version, items: [ledger, ...itemsOf(seen)] };
  }

  async #list(collection: Collection, mayBeLate: boolean): Promise<{ version: number; seen: readonly Seen[] }> {
    const path = resourcePath(this.#client.namespace, collection.resource);
    const { version, objects } = await listObjects(this.#client, path, selectorOf(collection), mayBeLate);
    const seen = objects.map(collection.see).filter((one) => one !== null);
    return { version: versionOf(version), seen };
  }

  async #follow(
    collection: Collection,
    after: number,
    tell: (event: KvEvent) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const place = { version: String(after) };
    let mayGoOn = true;
    for (let end: WatchEnd = "ended"; end === "ended"; ) {
      const startedMs = systemClock.nowMs();
      try {
        end = await this.#watchOnce(collection, place, tell, signal);
        mayGoOn = true;
      } catch (cause) {
        if (signal.aborted || this.#client.signal.aborted) return;
        mayGoOn ||= systemClock.nowMs() - startedMs > limits.registryLastingMs;
        if (mayGoOn) {
          mayGoOn = false;
          await pause(Math.random() * limits.registryReconnectMsMax, signal);
          continue;
        }
        tell({ kind: "disconnected", reason: portErrorOf(cause).message });
        await pause(backoffMs(2, limits.registryReconnectMsMin, limits.registryReconnectMsMax), signal);
        return tell({ kind: "compacted" });
      }
      const earliestMs = startedMs + limits.kubernetesWatchSpacingMs * (1 + Math.random());
      await pause(Math.max(0, earliestMs - systemClock.nowMs()), signal);
      if (signal.aborted) return;
    }
    tell({ kind: "compacted" });
  }

  #watchOnce(
    collection: Collection,
    place: { version: string },
    tell: (event: KvEvent) => void,
    signal: AbortSignal,
  ): Promise<WatchEnd> {
    const change = (seen: ObjectChange): void => {
      place.version = seen.object.metadata.resourceVersion;
      const event = eventOf(collection, seen);
      if (event !== null) tell(event);
    };
    const request = watchRequest(this.#client.namespace, collection, place.version);
    return watchStream(this.#client, request, { idleMs: this.#idleMs, change }, signal);
  }
}

function knownCollection(prefix: string): Collection {
  const collection = collectionOf(prefix) ?? gatewayCollectionOf(prefix);
  assert(collection !== null, "only collections that exist are read");
  return collection;
}

function itemsOf(seen: readonly Seen[]): readonly KvItem[] {
  return seen
    .flatMap((one) => (one.value === null ? [] : [{ ...one, value: one.value }]))
    .sort((one, other) => (one.key < other.key ? -1 : 1));
}

function selectorOf({ name, label }: Collection): Readonly<Record<string, string>> {
  if (label !== undefined) return { labelSelector: label };
  return name === null ? {} : { fieldSelector: `metadata.name=${name}` };
}

function watchRequest(namespace: string, collection: Collection, version: string): ApiRequest {
  const { kubernetesWatchSecondsMin: min, kubernetesWatchSecondsMax: max } = limits;
  const query = {
    ...selectorOf(collection),
    watch: "1",
    resourceVersion: version,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(Math.floor(min + Math.random() * (max - min))),
  };
  return { method: "GET", path: resourcePath(namespace, collection.resource), query };
}

function eventOf(collection: Collection, { kind, object }: ObjectChange): KvEvent | null {
  if (kind === "bookmark") return null;
  const seen = collection.see(object);
  if (seen === null) return null;
  const { key, value, revision, fault } = seen;
  if (kind === "put") return { kind: "changes", revision, changes: [{ key, value, fault }] };
  return removalOf(object, seen);
}

/**
 * The mark of a removal goes when it has done its work. An entry that somebody else deleted is gone
 * at once; the leader gives that its revision later.
 */
function removalOf(object: KubeObject, seen: Seen): KvEvent | null {
  const { key, value } = seen;
  if (value === null) return null;
  const isRoster = key.startsWith(rosterPrefix);
  const revision = isRoster ? 0 : versionOf(object.metadata.resourceVersion);
  return { kind: "changes", revision, changes: [{ key, value: null }] };
}
