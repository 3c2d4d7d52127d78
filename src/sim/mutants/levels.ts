/** Mutants of a fleet that moves between plain and encrypted traffic: steps that are taken too early or too far. */
import type { FleetLevels, FleetRecord } from "../../core/fleet/record.js";
import { stepController } from "../../core/fleet/step.js";
import { nextLevel } from "../../core/policy-level.js";
import type { Observation } from "../../core/rotation/observation.js";
import type { StepController } from "../../runtime/controller-loop.js";
import { withControllerReports, withObservation, withRecord } from "./falsify.js";
import { everywhere, type Mutant } from "./mutant.js";

function moved(record: FleetRecord, levels: FleetLevels): FleetRecord {
  const keys = levels.level === "off" ? { current: null, through: [] } : {};
  return { ...record, ...keys, exclusionEpoch: record.exclusionEpoch + 1, levels };
}

/** Nobody is asked whether it has applied the level before. */
const stepsAtOnce = withRecord((record, { before }) => {
  const { levels } = record;
  if (levels === undefined || levels.level === null || levels !== before.levels || record.phase !== "steady") return record;
  const level = nextLevel(levels.level, levels.wanted);
  return level === null ? record : moved(record, { ...levels, level, applied: false });
});

/** When a step is due, the fleet goes all the way. */
const skipsLevels = withRecord((record, { before }) => {
  const { levels } = record;
  const isStep = levels !== undefined && levels.level !== null && levels.level !== before.levels?.level;
  if (!isStep || before.levels === undefined || before.levels.level === null) return record;
  return levels.level === levels.wanted ? record : { ...moved(record, { ...levels, level: levels.wanted }), exclusionEpoch: record.exclusionEpoch };
});

/** What was sent before everybody had applied a level may still be on its way when the next one is taken. */
const withoutDrain: StepController = (state, observation, nowMs, options) => {
  const { level } = state;
  const hurried = level === null || level.appliedMs === null ? level : { ...level, appliedMs: -options.drainMs };
  return stepController({ ...state, level: hurried }, observation, nowMs, options);
};

/** At `prefer`, `require` to come is not heard of: pairs begin plain as ever, and nobody says so. */
function deafToClosing(observation: Observation): Observation {
  const { fleet } = observation;
  const levels = fleet?.record.levels;
  if (fleet === null || levels?.level !== "prefer") return observation;
  return { ...observation, fleet: { ...fleet, record: { ...fleet.record, levels: { ...levels, wanted: "prefer" } } } };
}

/** What was in use before `off` is forgotten with it. */
const forgetsLastKey: StepController = (state, observation, nowMs, options) => {
  const { fleet } = observation;
  const record = fleet?.record ?? null;
  if (fleet === null || record?.levels === undefined) return stepController(state, observation, nowMs, options);
  const forgotten = { ...record, levels: { ...record.levels, lastKey: undefined } };
  return stepController(state, { ...observation, fleet: { ...fleet, record: forgotten } }, nowMs, options);
};

export const levelMutants: readonly Mutant[] = [
  {
    name: "level-before-applied",
    without: "the next level is taken when every counted node has applied the one before",
    changes: { controllerStep: stepsAtOnce },
  },
  { name: "level-skipped", without: "levels are taken one at a time", changes: { controllerStep: skipsLevels } },
  {
    name: "level-without-drain",
    without: "a level lasts for a drain after everybody has applied it",
    changes: { controllerStep: withoutDrain },
  },
  {
    name: "require-while-plain",
    without: "require is taken when no counted node sends plain packets to another",
    changes: {
      controllerStep: withControllerReports(() => (report) => {
        const { level } = report;
        return level === undefined ? report : { ...report, level: { ...level, sendsPlain: false } };
      }),
    },
  },
  {
    name: "begins-plain-while-closing",
    without: "while the fleet goes to require, no pair begins to be plain",
    changes: everywhere(withObservation(deafToClosing)),
  },
  {
    name: "retired-key-after-off",
    without: "from off a fleet goes up with the key that was in use last, or a newer one",
    changes: { controllerStep: forgetsLastKey },
  },
];
