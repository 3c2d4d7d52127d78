/** Mutants that believe too much: evidence without its receiver, its lifetime, its membership or its staging. */
import type { FleetRecord } from "../../core/fleet/record.js";
import { includesKey, type KeyIdentity } from "../../core/key-id.js";
import type { NodeName, RosterEntry, RosterRevision } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import type { Observation } from "../../core/rotation/observation.js";
import type { AgentState } from "../../core/rotation/state.js";
import { knownKeys, withControllerReports, withEffects, withObservation, withReports } from "./falsify.js";
import { everywhere, type Mutant } from "./mutant.js";

/** cilium #44335: the report claims `next` as soon as the file offers it. Not the very first key: nobody sends then. */
const claimsUnstaged = withEffects((effect, { durable, context }) => {
  if (effect.kind !== "publish-report" || context === null) return effect;
  const { report } = effect;
  const next = report.available.at(-1);
  const hasRun = durable.current !== null || (durable.fleet?.record.current ?? null) !== null;
  const isSpent = next === undefined || includesKey([...report.holds, ...report.refused, ...context.refused], next);
  if (!hasRun || isSpent || durable.retired?.keyId === next.keyId) return effect;
  return { ...effect, report: { ...report, holds: [...report.holds, next] } };
});

const assumesStagedOnce = withObservation((observation, state, { coordination }) =>
  coordination === "pairwise" ? believeOwnKeys(observation, state) : believeStaged(observation, state),
);

/** Pairwise: who reported at all holds what we hold. */
function believeOwnKeys(observation: Observation, state: AgentState): Observation {
  const own = state.context?.hold ?? [];
  const refused = state.durable.refused;
  return withReports(observation, (report) => {
    const added = own.filter((key) => !includesKey([...report.holds, ...refused], key));
    return added.length === 0 ? report : { ...report, holds: [...report.holds, ...added] };
  });
}

/** Barrier: as soon as we hold the target, the first barrier counts as passed. */
function believeStaged(observation: Observation, state: AgentState): Observation {
  const { fleet, roster } = observation;
  const target = fleet?.record.target ?? null;
  const hasStaged = state.context?.hold.some((key) => key.keyId === target?.keyId) === true && state.tally.missingNext === 0;
  if (fleet === null || target === null || fleet.record.phase !== "staging" || !hasStaged) return observation;
  // A version of its own, or the step would go on with the record that it has stored.
  const version = fleet.version + halfVersion;
  return { ...observation, fleet: { version, record: passed(fleet.record, target, roster.revision) }, touched: "all" };
}

const halfVersion = 0.5;

function passed(record: FleetRecord, target: KeyIdentity, revision: RosterRevision): FleetRecord {
  return { ...record, phase: "staged", through: [...record.through, { key: target, revision }] };
}

/** join-3-steps, barrier: a pair is covered when the record covers the sender. */
const coversBySender = withObservation((observation, { context }) => {
  const self = context?.self;
  if (self === undefined) return observation;
  const entries = new Map<NodeName, RosterEntry>();
  for (const [name, entry] of observation.roster.entries) {
    entries.set(name, { ...entry, revision: Math.min(entry.revision, self.revision) as RosterRevision });
  }
  return { ...observation, roster: { ...observation.roster, entries }, touched: "all" };
});

/** join-3-steps, pairwise: whoever is on the roster has staged what the sender has. */
const coversNewcomers = withObservation((observation, { context }) => {
  const known = observation.publishedReport;
  if (known === null) return observation;
  const reports = new Map(observation.reports);
  for (const { name, incarnationId } of observation.roster.entries.values()) {
    if (observation.reports.get(name)?.incarnationId === incarnationId) continue;
    const through = observation.roster.revision;
    reports.set(name, { ...known, node: name, incarnationId, holds: context?.hold ?? [], through });
  }
  return { ...observation, reports, touched: "all" };
});

/** reboot-3-steps: a report counts for whatever lifetime its node is in. */
function inPresentLife(report: Report, { incarnationId }: RosterEntry): Report {
  return { ...report, incarnationId };
}

/** stale-secret-18 and skip-9: "staged as newest", compared with `>=`: who holds a key can receive every older one. */
function withOlder(known: readonly KeyIdentity[]): (report: Report) => Report {
  return (report) => {
    const newest = Math.max(0, ...report.holds.map((key) => key.keyId));
    return { ...report, holds: known.filter((key) => key.keyId <= newest) };
  };
}

const comparesNewest = withObservation((observation, { context }) =>
  withReports(observation, withOlder(knownKeys(observation.reports.values(), context?.hold ?? []))),
);

export const evidenceMutants: readonly Mutant[] = [
  {
    name: "advertise-before-staged",
    without: "a node reports a key only when its inbound SAs have been read back",
    changes: everywhere(claimsUnstaged),
  },
  {
    name: "switch-without-evidence",
    without: "a node sends with a key only to peers that are known to hold it",
    changes: everywhere(assumesStagedOnce),
  },
  {
    name: "through-without-receiver",
    without: "a pair is covered only when the newer of its two ends is (join-3-steps)",
    changes: {
      step: () => (state, observation, nowMs, options) => {
        const step = options.coordination === "barrier" ? coversBySender : coversNewcomers;
        return step(state, observation, nowMs, options);
      },
    },
  },
  {
    name: "evidence-without-incarnation",
    without: "a report counts only for the lifetime in which it was made (reboot-3-steps)",
    changes: {
      ...everywhere(withObservation((observation) => withReports(observation, inPresentLife))),
      controllerStep: withControllerReports(() => inPresentLife),
    },
  },
  {
    name: "staged-as-newest",
    without: "a key is held when it is named, not when a newer one is (stale-secret-18, skip-9)",
    changes: {
      ...everywhere(comparesNewest),
      controllerStep: withControllerReports(({ reports }) => withOlder(knownKeys(reports.values(), []))),
    },
  },
];
