/** What people read after simulated runs: one table, then what broke and why, then how to see it again. */
import { colorsFor, type Colors, type Terminal } from "../../adapters/system/terminal.js";
import type { Violation } from "../../sim/checkers/checker.js";
import type { RotationFigures, SimulationResult } from "../../sim/run/simulation-result.js";
import { count, seconds } from "../lab/progress-lines.js";
import { formatTable, type Column } from "../output.js";

/** A run with the name that tells it from the others; null for a single one. */
export interface NamedRun {
  readonly name: string | null;
  readonly result: SimulationResult;
}

interface Row extends NamedRun {
  readonly rotation: RotationFigures | undefined;
}

export function describeRuns(runs: readonly NamedRun[], stdout: Terminal, wide: boolean): string {
  const colors = colorsFor(stdout);
  const rows = runs.flatMap(rowsOf);
  return [
    formatTable(runs.length > 1 ? [runColumn, ...columns] : columns, rows, stdout, wide),
    "",
    ...runs.flatMap((run) => describeRun(run, colors)),
  ].join("\n");
}

function rowsOf(run: NamedRun): readonly Row[] {
  const { rotations } = run.result;
  return rotations.length === 0 ? [{ ...run, rotation: undefined }] : rotations.map((rotation) => ({ ...run, rotation }));
}

const runColumn: Column<Row> = { header: "RUN", cell: ({ name }) => name ?? "" };

const columns: readonly Column<Row>[] = [
  { header: "NODES", align: "right", cell: ({ result }) => count(result.nodes) },
  { header: "DEGREE", align: "right", wide: true, cell: ({ result }) => (result.degree === null ? "all" : count(result.degree)) },
  { header: "KEY", align: "right", cell: ({ rotation }) => `${rotation?.keyId ?? "-"}` },
  { header: "STAGED", align: "right", cell: ({ rotation }) => time(rotation?.stagedMs) },
  { header: "SWITCHED", align: "right", cell: ({ rotation }) => time(rotation?.switchedMs) },
  { header: "RETIRED", align: "right", cell: ({ rotation }) => time(rotation?.retiredMs) },
  { header: "DONE", align: "right", cell: ({ rotation }) => time(rotation?.durationMs) },
  { header: "LOST", align: "right", cell: ({ result }, colors) => lostCell(result, colors) },
  { header: "WRITES/NODE", align: "right", cell: ({ result }) => writesPerNode(result) },
  { header: "EVENTS", align: "right", cell: ({ result }) => count(result.registry.watchEvents) },
  { header: "PEAK/S", align: "right", cell: ({ result }) => count(result.registry.peakEventsPerSecond) },
  { header: "FORCED", align: "right", cell: ({ rotation }) => `${rotation?.forcedRetires ?? 0}` },
  { header: "SLOWEST STAGING", wide: true, cell: ({ result }) => slowest(result) },
];

function time(ms: number | null | undefined): string {
  return ms === null || ms === undefined ? "-" : seconds(ms);
}

function lostCell({ packets }: SimulationResult, colors: Colors): string {
  if (packets.lost === 0) return colors.green("0");
  return colors.red(Object.entries(packets.lostByReason).map(([reason, lost]) => `${count(lost)} ${reason}`).join(", "));
}

function writesPerNode({ nodes, registry, rotations }: SimulationResult): string {
  return rotations.length === 0 ? "-" : (registry.writes / nodes / rotations.length).toFixed(1);
}

function slowest({ staging }: SimulationResult): string {
  const [first] = staging;
  return first === undefined ? "-" : `${first.node} ${seconds(first.stagingMs)} for ${count(first.sas)} SAs`;
}

function describeRun({ name, result }: NamedRun, colors: Colors): readonly string[] {
  const { packets, violations, complete, ok, replay } = result;
  const title = name === null ? "" : `${name}: `;
  const lost = packets.lost === 0 ? colors.green("0 lost") : colors.red(`${count(packets.lost)} lost`);
  return [
    `${title}${count(packets.sent)} packets sent, ${count(packets.received)} received, ${lost}`,
    ...(complete ? [] : [colors.red("interrupted: what follows is what was found until then")]),
    ...violations.flatMap((violation) => describeViolation(violation, colors)),
    ok ? colors.green("every invariant held") : colors.red(violations.length === 1 ? "1 violation" : `${violations.length} violations`),
    `  replay: ${replay}`,
    "",
  ];
}

function describeViolation({ invariant, message, cause }: Violation, colors: Colors): readonly string[] {
  return [`  ${colors.red(invariant)}: ${message}`, ...(cause === null ? [] : [`      because ${cause}`])];
}
