/**
 * A change of what travels between nodes, as a rollout makes it: each node takes the new setting as soon as it reaches it,
 * and nobody asks whether the others take what it sends from then on.
 */
import type { FleetRecord } from "../../../core/fleet/record.js";
import { stepController } from "../../../core/fleet/step.js";
import type { StepController } from "../../../runtime/controller-loop.js";

/** The level that is wanted is the level that nodes are told, from the first record on. */
export const levelAtOnce: StepController = (state, observation, nowMs, options) => {
  const step = stepController(state, observation, nowMs, options);
  const effects = step.effects.map((effect) =>
    effect.kind === "write-fleet" ? { ...effect, record: atOnce(effect.record) } : effect,
  );
  return { ...step, effects };
};

function atOnce(record: FleetRecord): FleetRecord {
  const { levels } = record;
  if (levels === undefined || levels.level === levels.wanted) return record;
  return { ...record, levels: { ...levels, level: levels.wanted } };
}
