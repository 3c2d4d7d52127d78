/**
 * Follows a prefix of the store: a listing, then changes, and a listing again whenever the history
 * has a gap. It goes on through faults of the store, with backoff, until stopped.
 */
import { limits } from "../../core/limits.js";
import type { Stop } from "../../ports/failure.js";
import { backoffMs, pause } from "./backoff.js";
import type { KvEvent, KvReader, KvSnapshot } from "./kv.js";
import { portErrorOf } from "./settle.js";
import { systemClock } from "../system/clock.js";

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

/** Before the listing after `hurried` watches in a row that did not last. */
export type Rest = (hurried: number, signal: AbortSignal) => Promise<void>;

export function follow(kv: KvReader, followed: Followed, follower: Follower, rest: Rest = restLonger): Stop {
  const stopping = new AbortController();
  void run(kv, followed, follower, rest, stopping.signal);
  return () => {
    stopping.abort();
  };
}

async function run(
  kv: KvReader,
  followed: Followed,
  follower: Follower,
  rest: Rest,
  signal: AbortSignal,
): Promise<void> {
  for (let hurried = 0; !signal.aborted; ) {
    const snapshot = await listUntilDone(followed, follower, signal);
    if (snapshot === null) return;
    follower.listing(snapshot);
    const startedMs = systemClock.nowMs();
    await watchUntilGap(kv, followed.prefix, snapshot.revision, follower, signal);
    hurried = systemClock.nowMs() - startedMs < limits.registryLastingMs ? hurried + 1 : 0;
    if (hurried < 2) continue;
    follower.event({ kind: "disconnected", reason: "its watches do not last" });
    await rest(hurried, signal);
  }
}

/** A listing is dear: a registry that is too slow for its watches gets fewer of them, not more. */
function restLonger(hurried: number, signal: AbortSignal): Promise<void> {
  return pause(backoffMs(hurried, limits.registryReconnectMsMin, limits.registryRelistMsMax), signal);
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
