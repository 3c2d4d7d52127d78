/**
 * What a run came to: packets lost by cause, what the script measured, which invariants broke. And the questions that
 * scenarios ask of it; each answers with what is wrong, so that a failed run says all of it at once.
 */
import type { Invariant, Violation } from "../checkers/checker.js";
import type { SimFleet } from "../fleet.js";
import { packetsOf, spanOf, type Excuse, type LossWindow } from "../model/losses.js";
import type { Play } from "./play.js";

/** Packets lost for one reason on one key. */
export interface LossGroup {
  readonly reason: LossWindow["reason"];
  /** 0: kept back by a policy. */
  readonly keyId: number;
  readonly excuse: Excuse | null;
  readonly packets: number;
  /** Ordered pairs of nodes. */
  readonly pairs: number;
  readonly firstMs: number;
  readonly lastMs: number;
  readonly firstPair: string;
}

export interface Outcome {
  readonly sent: number;
  readonly losses: readonly LossGroup[];
  /** Packets that nothing excuses (S1). */
  readonly unexcused: number;
  readonly figures: ReadonlyMap<string, number>;
  /** What the checkers found, each with its first cause. */
  readonly violations: readonly Violation[];
  /** Waits of the script that were in vain. */
  readonly unmet: readonly string[];
}

export function outcomeOf(fleet: SimFleet, play: Play, violations: readonly Violation[]): Outcome {
  const { sent, blocked } = fleet.traffic.count();
  return {
    sent: sent + blocked,
    losses: groupLosses(fleet.traffic.lost),
    unexcused: packetsOf(fleet.losses()),
    figures: new Map(play.figures.map(({ name, value }) => [name, value])),
    violations,
    unmet: play.unmet,
  };
}

/** In the order in which the first window of each group began. */
export function groupLosses(lost: readonly LossWindow[]): readonly LossGroup[] {
  const groups = new Map<string, LossWindow[]>();
  for (const window of [...lost].sort((one, other) => one.fromMs - other.fromMs)) {
    const id = `${window.reason} ${window.keyId} ${window.excuse}`;
    const group = groups.get(id) ?? [];
    groups.set(id, group);
    group.push(window);
  }
  return [...groups.values()].flatMap((windows) => {
    const [first] = windows;
    if (first === undefined) return [];
    const { reason, keyId, excuse } = first;
    const pairs = new Set(windows.map(({ from, to }) => `${from} ${to}`)).size;
    const { toMs: lastMs } = spanOf(windows) ?? first;
    const times = { firstMs: first.fromMs, lastMs, firstPair: `${first.from} to ${first.to}` };
    return [{ reason, keyId, excuse, packets: packetsOf(windows), pairs, ...times }];
  });
}

/** An outcome in one line, for a table of before and after. */
export function summarise(outcome: Outcome): string {
  const { losses, unexcused, sent, figures, unmet } = outcome;
  const broken = brokenInvariants(outcome);
  const reasons = [...new Set(losses.filter(({ excuse }) => excuse === null).map(({ reason }) => reason))];
  const excuses = [...new Set(losses.map(({ excuse }) => excuse).filter((excuse) => excuse !== null))];
  return [
    sent === 0 ? "no packets" : unexcused === 0 ? "0 packets lost" : `${unexcused} of ${sent} packets lost (${reasons.join(", ")})`,
    ...excuses.map((excuse) => `${countExcused(outcome, excuse)} excused as ${excuse}`),
    ...[...figures].map(([name, value]) => `${name}: ${value}`),
    ...(broken.length > 0 ? [`breaks ${broken.join(", ")}`] : []),
    ...(unmet.length > 0 ? ["does not come to rest"] : []),
  ].join("; ");
}

function countExcused(outcome: Outcome, excuse: Excuse): number {
  return outcome.losses.filter((group) => group.excuse === excuse).reduce((sum, { packets }) => sum + packets, 0);
}

/** Unexcused packets with this reason and key. */
export function countLost(outcome: Outcome, reason: LossWindow["reason"], keyId: number): number {
  return outcome.losses
    .filter((group) => group.reason === reason && group.keyId === keyId && group.excuse === null)
    .reduce((sum, group) => sum + group.packets, 0);
}

/** No checker found anything, and all that the script waits for came true. */
export function expectHeld(outcome: Outcome): readonly string[] {
  const violations = outcome.violations.map(({ invariant, message }) => `${invariant}: ${message}`);
  return [...violations, ...outcome.unmet];
}

export function brokenInvariants(outcome: Outcome): readonly Invariant[] {
  return [...new Set(outcome.violations.map(({ invariant }) => invariant))];
}

/** The reported failure, by the name of what it breaks. */
export function expectBroken(outcome: Outcome, ...invariants: readonly Invariant[]): readonly string[] {
  const broken = brokenInvariants(outcome);
  return invariants.filter((one) => !broken.includes(one)).map((one) => `${one} was not broken`);
}

/** The reported symptom: this many packets, at least, lost with this counter on this key. */
export function expectLost(
  outcome: Outcome,
  reason: LossWindow["reason"],
  keyId: number,
  atLeast: number,
): readonly string[] {
  const lost = countLost(outcome, reason, keyId);
  return lost >= atLeast ? [] : [`only ${lost} packets counted as ${reason} on key ${keyId}, reported are ${atLeast}`];
}

export function expectFigure(outcome: Outcome, name: string, least: number, most: number): readonly string[] {
  const value = outcome.figures.get(name);
  if (value === undefined) return [`${name} was not measured`];
  return value >= least && value <= most ? [] : [`${name} is ${value}, not between ${least} and ${most}`];
}
