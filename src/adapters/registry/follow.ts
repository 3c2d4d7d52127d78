/**
 * Follows a prefix of the store: a listing, then changes, and a listing again whenever the history
 * has a gap. It goes on through faults of the store, with backoff, until stopped.
 */
import { limits } from "../../core/limits.js";
import type { Stop } from "../../ports/failure.js";
import { backoffMs, pause } from "./backoff.js";
import type { KvEvent, KvReader, KvSnapshot } from "./kv.js";
import { portErrorOf } from "./settle.js";

export interface Followed {
  /** What to list, as of one revision. */
  readonly list: () => Promise<KvSnapshot>;
  /** What to watch from then on. */
  readonly prefix: string;
}

/**
 * Called in order. After `disconnected` comes either a `listing` or, with nothing missing,
 * `resumed`.
 */
export interface Follower {
  readonly listing: (snapshot: KvSnapshot) => void;
  readonly event: (event: Exclude<KvEvent, { readonly kind: "compacted" }>) => void;
}

export function follow(kv: KvReader, followed: Followed, follower: Follower): Stop {
  const stopping = new AbortController();
  void run(kv, followed, follower, stopping.signal);
  return () => {
    stopping.abort();
  };
}

async function run(
  kv: KvReader,
  followed: Followed,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const snapshot = await listUntilDone(followed, follower, signal);
    if (snapshot === null) return;
    follower.listing(snapshot);
    await watchUntilGap(kv, followed.prefix, snapshot.revision, follower, signal);
  }
}

/** Null when stopped. */
async function listUntilDone(
  followed: Followed,
  follower: Follower,
  signal: AbortSignal,
): Promise<KvSnapshot | null> {
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const snapshot = await followed.list();
      return signal.aborted ? null : snapshot;
    } catch (cause) {
      if (signal.aborted) return null;
      follower.event({ kind: "disconnected", reason: portErrorOf(cause).message });
    }
    const waitMs = backoffMs(attempt, limits.registryReconnectMsMin, limits.registryReconnectMsMax);
    await pause(waitMs, signal);
  }
  return null;
}

/** Ends when the watch lost its place in the history, or was stopped. */
function watchUntilGap(
  kv: KvReader,
  prefix: string,
  after: number,
  follower: Follower,
  signal: AbortSignal,
): Promise<void> {
  return new Promise((resolve) => {
    const stop = kv.watch(prefix, after, (event) => {
      if (signal.aborted) return;
      if (event.kind === "compacted") end();
      else follower.event(event);
    });
    signal.addEventListener("abort", end, { once: true });
    function end(): void {
      signal.removeEventListener("abort", end);
      stop();
      resolve();
    }
  });
}
