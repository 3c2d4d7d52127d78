/**
 * Judges what was gathered: each check is a function of the facts, and each finding says what to do. An
 * obstacle keeps the agent from doing its work on this host; a warning may cost packets.
 */
import { deviceChecks } from "./device-checks.js";
import type { Facts } from "./facts.js";
import type { Check, Finding } from "./finding.js";
import { hostChecks } from "./host-checks.js";
import { peerChecks } from "./peer-checks.js";
import { sizeChecks } from "./size-checks.js";

export const checks: readonly Check[] = [...hostChecks, ...deviceChecks, ...peerChecks, ...sizeChecks];

export function diagnose(facts: Facts): readonly Finding[] {
  return checks.flatMap((check) => check(facts));
}
