/**
 * S1: no packet is lost that nothing excuses, and none would have been: a loss too short to meet a packet counts. The verdict
 * is the traffic model's; this says whose fault it was.
 */
import { splitSpi } from "../../core/spi.js";
import type { SimFleet } from "../fleet.js";
import { transitMs } from "../model/flow.js";
import { packetsOf, type LossWindow } from "../model/losses.js";
import { seconds, type Checker, type Violation } from "./checker.js";
import type { History, SaLife } from "./history.js";

interface FirstLoss {
  readonly window: LossWindow;
  /** The SA that had been there for it, null when there was none yet. */
  readonly life: SaLife | null;
  /** The cause when packets never left. */
  readonly blocked: string | null;
}

export class LossChecker implements Checker {
  readonly invariant = "S1";
  readonly #fleet: SimFleet;
  readonly #history: History;
  readonly #because: string;
  #seen = 0;
  #first: FirstLoss | null = null;

  /** @param label what is special about the run, such as `order = advertise-first`; null for nothing */
  constructor(fleet: SimFleet, history: History, label: string | null) {
    this.#fleet = fleet;
    this.#history = history;
    this.#because = label === null ? "" : ` because ${label}`;
  }

  /** What the history shows of the first loss is kept, as later events would hide it. */
  look(): void {
    if (this.#first !== null) return;
    const { lost } = this.#fleet.traffic;
    const fresh = lost.slice(this.#seen).filter(({ excuse }) => excuse === null);
    this.#seen = lost.length;
    const [first, ...others] = fresh;
    if (first !== undefined) this.#first = this.#noted(others.reduce(earlier, first));
  }

  finish(): readonly Violation[] {
    this.look();
    if (this.#first === null) return [];
    const { window, blocked } = this.#first;
    const { from, to, reason, fromMs } = window;
    const message = `${amountOf(this.#fleet.losses())}, the first from ${from} to ${to} by ${reason}`;
    const cause = `${blocked ?? this.#unheld(this.#first)}${this.#because}`;
    return [{ invariant: "S1", atMs: fromMs, message, cause }];
  }

  #noted(window: LossWindow): FirstLoss {
    if (window.keyId === 0) return { window, life: null, blocked: this.#blocked(window) };
    const life = this.#history.inbound(window.to, window.from, window.keyId);
    const wasThere = life !== null && life.installedMs <= window.fromMs;
    return { window, life: wasThere ? life : null, blocked: null };
  }

  /** Packets left, and their receiver could not decrypt them. */
  #unheld({ window, life }: FirstLoss): string {
    const { from, to, keyId, fromMs } = window;
    const sent = `${from} sent with key ${keyId} to ${to} at ${seconds(fromMs)}`;
    const advertisedMs = this.#history.advertisedMs(to, keyId);
    const advertised = advertisedMs === null ? "it never advertised it" : `it advertised at ${seconds(advertisedMs)}`;
    const known = life ?? this.#history.inbound(to, from, keyId);
    return `${sent}; ${to} ${known === null ? "never staged it" : describeLife(known, fromMs)}; ${advertised}`;
  }

  /** Packets never left, although this pair had been able to send. */
  #blocked({ from, to, reason, fromMs }: LossWindow): string {
    const { ipv4, ipv6 } = this.#fleet.node(to).addresses;
    const kept = `${from} could not send to ${to} at ${seconds(fromMs)} (${reason})`;
    const addresses = [ipv4, ipv6].filter((address) => address !== null);
    const [last] = addresses.flatMap((address) => this.#history.selections(from, address, to));
    if (last === undefined) return `${kept}; it has no outbound policy for it`;
    if (last.action === "block") return `${kept}; it blocked it at ${seconds(last.sinceMs)}`;
    const key = last.spi === null ? "" : ` with key ${splitSpi(last.spi).keyId}`;
    return `${kept}; it could${key} again at ${seconds(last.sinceMs)}`;
  }
}

function earlier(one: LossWindow, other: LossWindow): LossWindow {
  return other.fromMs < one.fromMs ? other : one;
}

function amountOf(windows: readonly LossWindow[]): string {
  const packets = packetsOf(windows);
  if (packets > 0) return `lost ${packets} packets`;
  const longestMs = windows.reduce((most, { fromMs, toMs }) => Math.max(most, toMs - fromMs), 0);
  return `would have lost packets, for at most ${longestMs.toFixed(3)} ms`;
}

function describeLife({ installedMs, deletedMs }: SaLife, sentAtMs: number): string {
  const staged = `staged it at ${seconds(installedMs)}`;
  if (installedMs > sentAtMs) return staged;
  if (deletedMs !== null && deletedMs <= sentAtMs + transitMs) return `${staged} and deleted it at ${seconds(deletedMs)}`;
  return `${staged} and no longer held it, or held another lifetime's`;
}
