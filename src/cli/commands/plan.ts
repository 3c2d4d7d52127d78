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

/**
 * Events per second of the embedded registry; docs/reference/commands.md says how that was
 * measured.
 */
const registryRateDefault = 20_000;

interface PlanFlags extends OutputOptions {
  readonly nodes: number;
  readonly jitter: number;
  readonly jitterMinNodes: number;
  readonly drain: number;
  readonly keyDistribution: number;
  readonly stageDeadline: number;
  readonly staging?: number;
  readonly registryRate: number;
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
      countOption("--registry-rate <n>", "events per second that the registry delivers").default(
        registryRateDefault,
      ),
    );
  return addOutputOptions(command).action(async (flags: PlanFlags) => {
    const options = planOptions(flags);
    const plan = planRotation(options);
    if (!plan.preflight.fits) shell.exitWith(3);
    const result = { schemaVersion: 1, fits: plan.preflight.fits, ...plan, assumptions: options };
    await printResult(shell.stdout, formatOf(flags), result, () =>
      formatPlan(plan, options, shell.stdout),
    );
  });
}

/** As many nodes as there are indexes for. */
const countMax = limits.nodeIndexMax + 1;

function countOption(flags: string, description: string): Option {
  return new Option(flags, description).argParser((text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= 1 && count <= countMax) return count;
    throw new InvalidArgumentError(`It must be a whole number from 1 to ${countMax}.`);
  });
}

function planOptions(flags: PlanFlags): PlanOptions {
  return {
    nodes: flags.nodes,
    stagingMs: flags.staging ?? null,
    registryRate: flags.registryRate,
    jitterMaxMs: flags.jitter,
    jitterMinNodes: flags.jitterMinNodes,
    drainMs: flags.drain,
    keyDistributionMs: flags.keyDistribution,
    stageDeadlineMs: flags.stageDeadline,
    retireDeadlineMs: limits.retireDeadlineMsDefault,
  };
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
  { name: "old key may go after", of: ({ earliestRetireMs }) => formatDuration(earliestRetireMs) },
  { name: "done after", of: ({ totalMs }) => formatDuration(totalMs) },
];

function formatPlan(plan: FleetPlan, options: PlanOptions, stream: Terminal): string {
  const colors = colorsFor(stream);
  const { preflight, barrier, pairwise } = plan;
  const columns: readonly Column<PlanRow>[] = [
    { header: "", cell: ({ name }) => name },
    { header: "BARRIER", cell: ({ of }) => of(barrier), align: "right" },
    { header: "PAIRWISE", cell: ({ of }) => of(pairwise), align: "right" },
  ];
  const title = colors.bold(`one rotation of ${formatCount(options.nodes)} nodes`);
  const verdict = preflight.fits ? "" : `\n${colors.red("does not fit its stage deadline")}`;
  const assumed = assumptions(plan, options).map((line) => `  ${line}`);
  return [
    title + verdict,
    formatTable(columns, rows, stream),
    ["assumed:", ...assumed].join("\n"),
  ].join("\n\n");
}

function assumptions({ preflight }: FleetPlan, options: PlanOptions): readonly string[] {
  const { registryRate, stagingMs } = options;
  const distribution = formatDuration(options.keyDistributionMs);
  const deadline = formatDuration(options.stageDeadlineMs);
  const [stagingNote = "", ...misfits] = preflight.notes;
  const jitter =
    preflight.jitterMs === 0 ? "no jitter" : `jitter up to ${formatDuration(preflight.jitterMs)}`;
  return [
    `${jitter}, key distribution ${distribution}, drain ${formatDuration(options.drainMs)}`,
    stagingMs === null ? stagingNote : `staging ${formatDuration(stagingMs)}`,
    ...misfits,
    `stage deadline ${deadline}; the registry delivers ${formatCount(registryRate)} events/s`,
    "3 reports per node: pairwise to all others; barrier to the controller, and 4 fleet records",
  ];
}

function formatCount(count: number): string {
  return count.toLocaleString("en");
}
