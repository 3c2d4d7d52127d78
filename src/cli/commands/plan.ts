/**
 * `spindle plan`: what a rotation would cost a fleet of N nodes, in both kinds of coordination. It
 * asks nobody.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { colorsFor, type Terminal } from "../../adapters/system/terminal.js";
import {
  planRotation,
  type CoordinationPlan,
  type FleetPlan,
  type PlanOptions,
} from "../../core/fleet/plan.js";
import { registryCapacities, type RegistryKind } from "../../core/fleet/registry-capacity.js";
import { limits } from "../../core/limits.js";
import { formatDuration } from "../duration.js";
import { durationOption, parseDurationFlag } from "../operator/flags.js";
import {
  addOutputOptions,
  formatOf,
  formatTable,
  printResult,
  type Column,
  type OutputOptions,
} from "../output.js";
import type { Shell } from "../shell.js";

interface PlanFlags extends OutputOptions {
  readonly nodes: number;
  readonly jitter: number;
  readonly jitterMinNodes: number;
  readonly drain: number;
  readonly keyDistribution: number;
  readonly stageDeadline: number;
  readonly staging?: number;
  readonly coordination: CoordinationPlan["coordination"];
  readonly registry: RegistryKind;
  readonly registryRate?: number;
}

export function makeCommand(shell: Shell): Command {
  const command = new Command("plan")
    .description("estimate a rotation of a fleet of N nodes; exit 3 when it does not fit")
    .addOption(countOption("--nodes <n>", "nodes in the fleet").makeOptionMandatory())
    .addOption(durationOption("--jitter <duration>", "jitter.max of the agents", 150_000, "150s"))
    .addOption(
      countOption("--jitter-min-nodes <n>", "jitter.minNodes of the agents").default(
        limits.jitterMinNodesDefault,
      ),
    )
    .addOption(durationOption("--drain <duration>", "rotation.drain", limits.drainMsDefault, "3s"))
    .addOption(
      durationOption(
        "--key-distribution <duration>",
        "until a new key file has reached every node",
        limits.keyDistributionMsDefault,
        "5s",
      ),
    )
    .addOption(
      durationOption(
        "--stage-deadline <duration>",
        "rotation.stageDeadline",
        limits.stageDeadlineMsDefault,
        "10m",
      ),
    )
    .addOption(
      new Option(
        "--staging <duration>",
        "what one node's staging takes (default: from the number of nodes)",
      ).argParser(parseDurationFlag),
    )
    .addOption(
      new Option("--coordination <kind>", "which of the two must fit")
        .choices(["barrier", "pairwise"])
        .default("barrier"),
    )
    .addOption(
      new Option("--registry <kind>", "whose capacity is assumed")
        .choices(Object.keys(registryCapacities))
        .default("embedded"),
    )
    .addOption(
      new Option(
        "--registry-rate <n>",
        "events per second that the registry delivers (default: of --registry)",
      ).argParser(parseRate),
    );
  return addOutputOptions(command)
    .addHelpText("after", examples)
    .action(async (flags: PlanFlags) => {
      const options = planOptions(flags);
      const plan = planRotation(options);
      const misfits = misfitsOf(plan, flags, options);
      if (misfits.length > 0) shell.exitWith(3);
      const { coordination, registry } = flags;
      const assumptions = { ...options, coordination, registry, registrySource: rateSource(flags) };
      const result = { schemaVersion: 1, fits: misfits.length === 0, misfits, ...plan, assumptions };
      await printResult(shell.stdout, formatOf(flags), result, () =>
        formatPlan(plan, misfits, assumptions, shell.stdout),
      );
    });
}

const examples = `
Examples:
  $ spindle plan --nodes 5000 --registry kubernetes --jitter 30s
  $ spindle plan --nodes 1000 --coordination pairwise --registry-rate 12000
Exit codes: 0 it fits; 3 the stage deadline or the registry does not allow it; 2 bad usage.`;

/** As many nodes as there are indexes for. */
const countMax = limits.nodeIndexMax + 1;

function countOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= 1 && count <= countMax) return count;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${countMax}.`);
  });
}

const rateMax = 1_000_000_000;

function parseRate(text: string): number {
  const rate = Number(text);
  if (/^\d+$/.test(text) && rate >= 1 && rate <= rateMax) return rate;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${rateMax}.`);
}

function planOptions(flags: PlanFlags): PlanOptions {
  return {
    nodes: flags.nodes,
    stagingMs: flags.staging ?? null,
    registryRate: flags.registryRate ?? registryCapacities[flags.registry].eventsPerSecond,
    jitterMaxMs: flags.jitter,
    jitterMinNodes: flags.jitterMinNodes,
    drainMs: flags.drain,
    keyDistributionMs: flags.keyDistribution,
    stageDeadlineMs: flags.stageDeadline,
    retireDeadlineMs: limits.retireDeadlineMsDefault,
  };
}

/** Where the registry's rate comes from, in words. */
function rateSource({ registry, registryRate }: PlanFlags): string {
  if (registryRate !== undefined) return "given";
  const { measured, source } = registryCapacities[registry];
  return `${registry}, ${measured ? "measured" : "an assumption, not measured"}: ${source}`;
}

/** Why the rotation should not be started like this; empty when it may. */
function misfitsOf(plan: FleetPlan, flags: PlanFlags, options: PlanOptions): readonly string[] {
  const { coordination } = flags;
  const { withinCapacity, lagMs, peakEventsPerSecond } = plan[coordination];
  const deadline = plan.preflight.fits ? [] : plan.preflight.notes.slice(1);
  if (withinCapacity) return deadline;
  const busiest = `${coordination}: ${formatCount(peakEventsPerSecond)} events in the busiest second`;
  const over = `the registry delivers ${formatCount(options.registryRate)}, so watchers fall at least ${formatDuration(lagMs)} behind`;
  return [...deadline, `${busiest}, ${over}: ${adviceFor(coordination)}`];
}

function adviceFor(coordination: CoordinationPlan["coordination"]): string {
  return coordination === "pairwise"
    ? "use the barrier, or a longer jitter"
    : "a faster registry, or a longer key distribution";
}

interface Assumptions extends PlanOptions {
  readonly registrySource: string;
}

interface PlanRow {
  readonly name: string;
  readonly of: (plan: CoordinationPlan) => string;
}

const rows: readonly PlanRow[] = [
  { name: "registry writes", of: ({ writes }) => formatCount(writes) },
  { name: "registry events", of: ({ events }) => formatCount(events) },
  {
    name: "  in the busiest second",
    of: ({ peakEventsPerSecond }) => formatCount(peakEventsPerSecond),
  },
  { name: "  behind capacity", of: ({ lagMs }) => (lagMs === 0 ? "-" : formatDuration(lagMs)) },
  { name: "old key may go after", of: ({ earliestRetireMs }) => formatDuration(earliestRetireMs) },
  { name: "done after", of: ({ totalMs }) => formatDuration(totalMs) },
];

function formatPlan(
  plan: FleetPlan,
  misfits: readonly string[],
  options: Assumptions,
  stream: Terminal,
): string {
  const colors = colorsFor(stream);
  const { barrier, pairwise } = plan;
  const columns: readonly Column<PlanRow>[] = [
    { header: "", cell: ({ name }) => name },
    { header: "BARRIER", cell: ({ of }) => of(barrier), align: "right" },
    { header: "PAIRWISE", cell: ({ of }) => of(pairwise), align: "right" },
  ];
  const title = colors.bold(`one rotation of ${formatCount(options.nodes)} nodes`);
  const verdict = misfits.map((misfit) => `\n${colors.red("does not fit:")} ${misfit}`).join("");
  const assumed = assumptions(plan, options).map((line) => `  ${line}`);
  return [
    title + verdict,
    formatTable(columns, rows, stream),
    ["assumed:", ...assumed].join("\n"),
  ].join("\n\n");
}

function assumptions({ preflight }: FleetPlan, options: Assumptions): readonly string[] {
  const { registryRate, registrySource, stagingMs } = options;
  const distribution = formatDuration(options.keyDistributionMs);
  const jitter =
    preflight.jitterMs === 0 ? "no jitter" : `jitter up to ${formatDuration(preflight.jitterMs)}`;
  return [
    `${jitter}, key distribution ${distribution}, drain ${formatDuration(options.drainMs)}`,
    stagingMs === null ? (preflight.notes[0] ?? "") : `staging ${formatDuration(stagingMs)}`,
    `stage deadline ${formatDuration(options.stageDeadlineMs)}`,
    `the registry delivers ${formatCount(registryRate)} events/s (${registrySource})`,
    "nobody fails, and no node is slower than the others",
    "barrier: 4 reports per node to the controller, 2 more with jitter, and 4 fleet records to all",
    "pairwise: 5 reports per node, each to all others",
  ];
}

function formatCount(count: number): string {
  return count.toLocaleString("en");
}
