/**
 * Does a run prove anything? Only if nearly all packets that should have been sent were, every pair
 * delivered on every key, and every outbound SA that a pair should have used carried packets. A
 * slow machine loses nothing, too.
 */
import type { Ledger } from "./ledger.js";
import type { Stream } from "./stream.js";

export interface Validity {
  /** Packets tried, of rate x pairs x time. */
  readonly sentShare: number;
  /** Why the run does not count; empty when it does. */
  readonly problems: readonly string[];
}

/** Least share of the packets that must have been tried (issue: a run counts only if). */
export const sentShareMin = 0.95;
/** A problem that many pairs have is shown with a few of them. */
const pairsShown = 4;

export interface ValidityQuestion {
  readonly ledger: Ledger;
  readonly nodes: number;
  /** Packets per second and pair. */
  readonly rate: number;
  /** Every key that was in use. */
  readonly keyIds: readonly number[];
  /** Packets that found a full socket buffer. */
  readonly unreadPackets: number;
  readonly nameOf: (node: number) => string;
  /** Pairs that delivered nothing at the end of the run. */
  readonly silentPairs: number;
}

export function checkValidity(question: ValidityQuestion): Validity {
  const streams = [...question.ledger.streams].filter((stream) => stream.openedMs !== null);
  const sentShare = shareSent(streams, question.rate);
  const problems: string[] = [];
  if (sentShare < sentShareMin) {
    const percent = (sentShare * 100).toFixed(1);
    problems.push(`the machine was too slow: ${percent} % sent, ${sentShareMin * 100} % needed`);
  }
  const { unreadPackets } = question;
  if (unreadPackets > 0) {
    const found = `${unreadPackets} packets found a full socket buffer`;
    problems.push(`the machine was too slow: ${found}; try a lower --rate`);
  }
  for (const keyId of question.keyIds) {
    const unused = pairsWithout(question, streams, keyId, "sent");
    const undelivered = pairsWithout(question, streams, keyId, "delivered");
    if (unused.length > 0)
      problems.push(`no outbound SA of key ${keyId} was used: ${list(unused)}`);
    else if (undelivered.length > 0) {
      problems.push(`nothing was delivered with key ${keyId}: ${list(undelivered)}`);
    }
  }
  if (question.silentPairs > 0)
    problems.push(`${question.silentPairs} pairs delivered nothing at the end`);
  const duplicates = streams.reduce((sum, stream) => sum + stream.duplicates, 0);
  if (duplicates > 0) problems.push(`${duplicates} packets were delivered twice`);
  return { sentShare, problems };
}

function shareSent(streams: readonly Stream[], rate: number): number {
  let [attempted, expected] = [0, 0];
  for (const { openedMs, closedMs, attempted: tried } of streams) {
    if (openedMs === null || closedMs === null) continue;
    attempted += tried;
    expected += (Math.max(0, closedMs - openedMs) * rate) / 1_000;
  }
  return expected === 0 ? 0 : attempted / expected;
}

function pairsWithout(
  question: ValidityQuestion,
  streams: readonly Stream[],
  keyId: number,
  what: "sent" | "delivered",
): readonly string[] {
  const { nodes, nameOf } = question;
  const used = new Set<number>();
  for (const { sender, receiver, uses } of streams) {
    const hasUsed = uses.some((use) => use.keyId === keyId && use[what] > 0);
    if (hasUsed) used.add(sender * nodes + receiver);
  }
  const missing: string[] = [];
  for (let sender = 0; sender < nodes; sender += 1) {
    for (let receiver = 0; receiver < nodes; receiver += 1) {
      const isPair = sender !== receiver && !used.has(sender * nodes + receiver);
      if (isPair) missing.push(`${nameOf(sender)} to ${nameOf(receiver)}`);
    }
  }
  return missing;
}

function list(pairs: readonly string[]): string {
  const more = pairs.length > pairsShown ? ` and ${pairs.length - pairsShown} more` : "";
  return `${pairs.slice(0, pairsShown).join(", ")}${more}`;
}
