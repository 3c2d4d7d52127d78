/**
 * A run told in a page: under each act of the script, what nodes and controllers logged and which packets were lost,
 * alike things in one line. It names no packet, so it stays short at any size, and it is the golden trace.
 */
import type { Violation } from "../checkers/checker.js";
import type { LogLine, SimFleet } from "../fleet.js";
import { groupLosses, type LossGroup, type Outcome } from "./outcome.js";
import type { Act, Play } from "./play.js";

/** Fewer nodes than this are named. */
const namedMax = 4;

interface Span {
  readonly act: Act;
  readonly endMs: number;
}

export function tellStory(fleet: SimFleet, play: Play, outcome: Outcome): readonly string[] {
  const spans = play.acts.map((act, i): Span => ({ act, endMs: play.acts[i + 1]?.atMs ?? Infinity }));
  return [...spans.flatMap((span) => tellAct(fleet, span)), ...tellEnd(play, outcome)];
}

function tellAct(fleet: SimFleet, { act, endMs }: Span): readonly string[] {
  const isWithin = (atMs: number): boolean => atMs >= act.atMs && atMs < endMs;
  const notes = groupNotes(fleet.logs.filter(({ atMs }) => isWithin(atMs)));
  const losses = groupLosses(fleet.traffic.lost.filter(({ toMs }) => toMs > act.atMs && toMs <= endMs)).map(tellLoss);
  const lines = [...notes, ...losses].sort((one, other) => one.atMs - other.atMs);
  return [`${seconds(act.atMs)}  ${act.text}`, ...lines.map(({ text }) => `    ${text}`)];
}

interface Line {
  readonly atMs: number;
  readonly text: string;
}

function groupNotes(logs: readonly LogLine[]): readonly Line[] {
  const groups = new Map<string, LogLine[]>();
  for (const line of logs) {
    const what = describe(line);
    if (what === null) continue;
    const group = groups.get(what) ?? [];
    groups.set(what, group);
    group.push(line);
  }
  return [...groups].map(([what, lines]) => {
    const firstMs = lines[0]?.atMs ?? 0;
    const lastMs = lines.at(-1)?.atMs ?? 0;
    return { atMs: firstMs, text: `${span(firstMs, lastMs)}  ${who(lines)}: ${what}` };
  });
}

function who(lines: readonly LogLine[]): string {
  const names = [...new Set(lines.map((line) => line.who))].sort();
  const times = lines.length > names.length ? ` (${lines.length} times)` : "";
  return (names.length < namedMax ? names.join(", ") : `${names.length} nodes`) + times;
}

/** Null for what is not part of the story. */
function describe({ message, fields }: LogLine): string | null {
  const key = `key ${String(fields["keyId"])}`;
  const on = fields["keyId"] === null ? "" : `, ${key}`;
  switch (message) {
    case "phase changed":
      return `${String(fields["from"])} -> ${String(fields["to"])}, ${key}`;
    case "fleet phase changed":
      return `the fleet is ${String(fields["phase"])}, rotation ${String(fields["rotation"])}${on}`;
    case "fleet level changed":
      return `the fleet's level is ${String(fields["level"] ?? "what each configuration says")}, wanted is ${String(fields["wanted"])}`;
    case "old key retired":
    case "old key retired by force":
    case "key refused":
    case "refused key deleted":
      return `${message}, ${key}`;
    case "new incarnation":
      return `${message}: ${String(fields["why"])}`;
    case "departed node removed":
    case "node excluded":
    case "node counts again":
      return `${message}: ${String(fields["peer"])}`;
    case "condition":
    case "retrying":
      return `${message} ${String(fields["effect"] ?? "")} ${String(fields["code"])}`.replace("  ", " ");
    case "request answered":
      return `${message}: ${String(fields["why"])}`;
    case "dataplane state adopted":
      return message;
    default:
      return null;
  }
}

function tellLoss(group: LossGroup): Line {
  const { reason, keyId, excuse, packets, pairs, firstMs, lastMs, firstPair } = group;
  const of = pairs === 1 ? firstPair : `${pairs} pairs, first ${firstPair}`;
  const verdict = excuse === null ? "LOST" : `excused as ${excuse},`;
  const on = keyId === 0 ? "" : ` on key ${keyId}`;
  return { atMs: firstMs, text: `${span(firstMs, lastMs)}  ${verdict} ${packets} packets (${of}): ${reason}${on}` };
}

function tellEnd(play: Play, outcome: Outcome): readonly string[] {
  const excused = outcome.losses.filter(({ excuse }) => excuse !== null).reduce((sum, { packets }) => sum + packets, 0);
  return [
    `${seconds(play.nowMs)}  end`,
    ...play.figures.map(({ name, value }) => `    ${name}: ${value}`),
    `    packets: ${outcome.sent} sent, ${outcome.unexcused} lost, ${excused} excused`,
    ...outcome.unmet.map((what) => `    in vain: ${what}`),
    ...outcome.violations.map(tellViolation),
  ];
}

function tellViolation({ invariant, message, cause }: Violation): string {
  return `    ${invariant} broken: ${message}${cause === null ? "" : `: ${cause}`}`;
}

function span(firstMs: number, lastMs: number): string {
  const [first, last] = [seconds(firstMs), seconds(lastMs)];
  return first === last ? first : `${first} to ${last}`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(3)} s`;
}
