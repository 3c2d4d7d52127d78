/**
 * Which level this node is at: the fleet record's, or its own configuration's while the record names none. What it reports
 * of it is true when it is said: every policy was read back and is as it should be (while the fleet closes, a pair that carries
 * nothing yet may be at `require` already).
 */
import { isClosed, type FleetLevels } from "../fleet/record.js";
import type { PolicyLevel } from "../policy-level.js";
import type { ReportedLevel } from "../report.js";
import type { Directive } from "./context.js";
import type { DurableState } from "./durable.js";
import type { AgentOptions, AgentState } from "./state.js";

export function levelOf(durable: DurableState, options: AgentOptions): PolicyLevel {
  return followed(durable, options)?.level ?? options.policyLevel ?? "require";
}

/** Does no pair begin to be plain any more? Those that are stay so until they are covered. */
export function isClosing(durable: DurableState, options: AgentOptions): boolean {
  const levels = followed(durable, options);
  return levels?.level === "prefer" && levels.wanted === "require";
}

/**
 * Are whole networks to be blocked? When everybody has applied `require`, and no longer than it is wanted; null while that is
 * the configuration's to say.
 */
export function wantedGuard(durable: DurableState, options: AgentOptions): boolean | null {
  const record = durable.fleet?.record;
  return record === undefined || followed(durable, options) === undefined ? null : isClosed(record);
}

/** At `off` there is no key to hold, to send with or to retire. */
export function withoutKeys(directive: Directive): Directive {
  const none = { current: null, next: null, hold: [], installable: [], candidates: [] };
  return { ...directive, ...none, drainAllowed: false, aborting: false };
}

/** Undefined where there is nothing to say, or not yet. */
export function reportedLevel(state: AgentState, options: AgentOptions): ReportedLevel | undefined {
  const { context, durable, toDo, tally } = state;
  const isAsked = options.coordination === "barrier" && durable.fleet?.record.levels !== undefined;
  if (context === null || !isAsked) return undefined;
  if (toDo.size > 0 || tally.outboundLost > 0) return undefined;
  return { applied: context.level, sendsPlain: context.isClosing && tally.plain > 0 };
}

/** The record that the node acts on, which it has on disk. */
function followed({ fleet }: DurableState, { coordination, followsLevels = true }: AgentOptions): FleetLevels | undefined {
  return coordination === "barrier" && followsLevels ? fleet?.record.levels : undefined;
}
