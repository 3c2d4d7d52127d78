/**
 * Runs for leader. Invariant: a leader believes so no longer than the store does. Its term is
 * counted from before the renewal was sent, on its own monotonic clock, so it ends here first, also
 * when the store cannot be reached. Two leaders do no harm (design 4.3); this makes them rare.
 */
import { randomUUID } from "node:crypto";
import type { Stop } from "../../ports/failure.js";
import { systemClock } from "../system/clock.js";
import { pause } from "./backoff.js";
import type { KvCandidate, KvElection } from "./kv.js";
import { orNull } from "./settle.js";

/** Renewals per term: two may be lost. */
const renewalsPerTerm = 3;

export function campaign(
  kv: KvElection,
  name: string,
  leaseMs: number,
  leading: (isLeader: boolean) => void,
): Stop {
  const stopping = new AbortController();
  const term = startTerm(leading);
  const candidate = { name, session: randomUUID() };
  void run(kv, candidate, leaseMs, term, stopping.signal);
  return () => {
    if (stopping.signal.aborted) return;
    stopping.abort();
    term.stop();
    void orNull(kv.resign(candidate)); // Out of reach: the term ends by itself.
  };
}

async function run(
  kv: KvElection,
  candidate: KvCandidate,
  leaseMs: number,
  term: Term,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    const sentMs = systemClock.nowMs();
    // Out of reach: what was granted before holds until its end.
    const granted = await orNull(kv.lead(candidate, leaseMs));
    if (signal.aborted) return;
    if (granted === null) term.unknown();
    else term.answered(granted ? sentMs + leaseMs : null);
    await pause(leaseMs / renewalsPerTerm, signal);
  }
}

interface Term {
  /** The store's answer: leader until then, or null. */
  readonly answered: (untilMs: number | null) => void;
  readonly unknown: () => void;
  readonly stop: () => void;
}

/** Tells changes only, the first answer included. */
function startTerm(leading: (isLeader: boolean) => void): Term {
  let told: boolean | null = null;
  let cancel = (): void => undefined;
  function tell(isLeader: boolean): void {
    if (told === isLeader) return;
    told = isLeader;
    leading(isLeader);
  }
  return {
    answered: (untilMs) => {
      cancel();
      const leads = untilMs !== null && untilMs > systemClock.nowMs();
      if (leads) cancel = systemClock.setTimer(untilMs, () => tell(false));
      tell(leads);
    },
    unknown: () => tell(told ?? false),
    stop: () => cancel(),
  };
}
