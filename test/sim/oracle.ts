/**
 * The slow obvious step beside the quick one: every step of a simulated agent is taken twice, once as it is and once
 * over all peers, and both must be equal in state, effects, notes and next wake. So any seed is a test of `touched`.
 */
import { PersistentMap } from "../../src/core/persistent-map.js";
import { stepAgent } from "../../src/core/rotation/step.js";
import type { StepAgent } from "../../src/runtime/agent-loop.js";

export interface Oracle {
  readonly step: StepAgent;
  /** Steps that did not look at everyone anyway, of which `peersMax` is the largest fleet. */
  readonly counts: { steps: number; quick: number; peersMax: number };
  /** The first differences, with where they are. */
  readonly differences: string[];
}

const differencesMax = 5;

export function makeOracle(): Oracle {
  const counts = { steps: 0, quick: 0, peersMax: 0 };
  const differences: string[] = [];
  const step: StepAgent = (state, observation, nowMs, options) => {
    const quick = stepAgent(state, observation, nowMs, options);
    counts.steps += 1;
    if (observation.touched === "all") return quick;
    counts.quick += 1;
    counts.peersMax = Math.max(counts.peersMax, quick.state.tally.peers);
    const full = stepAgent(state, { ...observation, touched: "all" }, nowMs, options);
    const path = differences.length < differencesMax ? findDifference(quick, full, "step") : null;
    if (path !== null) {
      const touched = [...observation.touched].join();
      differences.push(`${options.name} at ${nowMs.toFixed(1)} ms, touched ${touched}: ${path}`);
    }
    return quick;
  };
  return { step, counts, differences };
}

/** Null when equal; otherwise the first place where they differ, and how. */
function findDifference(one: unknown, other: unknown, path: string): string | null {
  if (Object.is(one, other)) return null;
  if (typeof one !== "object" || typeof other !== "object" || one === null || other === null) {
    return `${path}: ${String(one)}, over all ${String(other)}`;
  }
  const [fields, others] = [fieldsOf(one), fieldsOf(other)];
  for (const name of new Set([...fields.keys(), ...others.keys()])) {
    if (!fields.has(name) || !others.has(name)) return `${path}.${name} exists only ${fields.has(name) ? "quick" : "over all"}`;
    const found = findDifference(fields.get(name), others.get(name), `${path}.${name}`);
    if (found !== null) return found;
  }
  return null;
}

/** Entries of maps count by key, those of lists by position. */
function fieldsOf(value: object): ReadonlyMap<string, unknown> {
  if (value instanceof PersistentMap) return new Map(value as PersistentMap<string, unknown>);
  if (value instanceof Map) return new Map([...(value as Map<unknown, unknown>)].map(([key, item]) => [String(key), item]));
  return new Map(Object.entries(value));
}
