/**
 * What people read after a run: one table, then for losses where, when and why, then what to try
 * next.
 */
import { colorsFor, type Colors, type Terminal } from "../../adapters/system/terminal.js";
import type { BulkReport } from "../../lab/kernel/bulk-stream.js";
import type { LossPlace } from "../../lab/ledger/loss-places.js";
import type { LabReport, RotationReport } from "../../lab/report.js";
import { formatTable, type Column } from "../output.js";
import { isAsCompared } from "./compare.js";
import { count, seconds } from "./progress-lines.js";

interface Row {
  readonly run: LabReport;
  readonly rotation: RotationReport;
}

const placesShown = 6;

export function describeReport(report: LabReport, stdout: Terminal, wide: boolean): string {
  const colors = colorsFor(stdout);
  return [
    formatTable(columnsFor(false), rowsOf(report), stdout, wide),
    "",
    ...describeTotals(report, colors),
    ...describeLosses(report, colors),
    ...verdict(report, colors),
    "",
    ...nextCommands(report, colors),
  ].join("\n");
}

export function describeComparison(
  today: LabReport,
  ours: LabReport,
  stdout: Terminal,
  wide: boolean,
): string {
  const colors = colorsFor(stdout);
  const isProven = isAsCompared(today, ours);
  const words = isProven
    ? colors.green("Today's order lost packets because one node was slow. Stage first lost none.")
    : colors.red("The comparison does not hold: see above.");
  return [
    formatTable(columnsFor(true), [...rowsOf(today), ...rowsOf(ours)], stdout, wide),
    "",
    ...describeLosses(today, colors),
    ...describeLosses(ours, colors),
    ...problemsOf(today, colors),
    ...problemsOf(ours, colors),
    words,
    "",
    ...nextCommands(ours, colors),
  ].join("\n");
}

function rowsOf(run: LabReport): readonly Row[] {
  return run.rotations.map((rotation) => ({ run, rotation }));
}

function columnsFor(isCompared: boolean): readonly Column<Row>[] {
  const runColumn: Column<Row> = { header: "RUN", cell: ({ run }) => nameOfRun(run) };
  const columns: readonly Column<Row>[] = [
    { header: "KEY", align: "right", cell: ({ rotation }) => `${rotation.keyId}` },
    { header: "STAGED", align: "right", cell: ({ rotation }) => time(rotation.stagedMs) },
    { header: "SWITCHED", align: "right", cell: ({ rotation }) => time(rotation.switchedMs) },
    { header: "RETIRED", align: "right", cell: ({ rotation }) => time(rotation.retiredMs) },
    { header: "SENT", align: "right", cell: ({ rotation }) => count(rotation.packets.sent) },
    {
      header: "RECEIVED",
      align: "right",
      cell: ({ rotation }) => count(rotation.packets.received),
    },
    { header: "LOST", align: "right", cell: ({ rotation }, colors) => lostCell(rotation, colors) },
    { header: "WRITES/NODE", align: "right", cell: ({ run, rotation }) => perNode(run, rotation) },
    {
      header: "EVENTS",
      align: "right",
      cell: ({ rotation }) => count(rotation.registry.watchEvents),
    },
    { header: "FORCED", align: "right", cell: ({ rotation }) => `${rotation.forcedRetires}` },
    { header: "WRITES BY CLASS", wide: true, cell: ({ rotation }) => byClass(rotation) },
  ];
  return isCompared ? [runColumn, ...columns] : columns;
}

function nameOfRun(run: LabReport): string {
  return run.order === "advertise-first" ? "today's order" : `spindle (${run.coordination})`;
}

function time(ms: number | null): string {
  return ms === null ? "-" : seconds(ms);
}

function lostCell({ packets }: RotationReport, colors: Colors): string {
  if (packets.lost === 0) return colors.green("0");
  const reasons = Object.entries(packets.lostByReason).map(
    ([reason, lost]) => `${count(lost)} ${reason}`,
  );
  return colors.red(reasons.join(", "));
}

function perNode(run: LabReport, { registry }: RotationReport): string {
  return (registry.writes / run.nodes).toFixed(1);
}

function byClass({ registry }: RotationReport): string {
  return Object.entries(registry.writesByClass)
    .map(([name, writes]) => `${name} ${writes}`)
    .join(", ");
}

function describeTotals(
  { packets, registry, validity, counted, bulk }: LabReport,
  colors: Colors,
): readonly string[] {
  const lost =
    packets.lost === 0 ? colors.green("0 lost") : colors.red(`${count(packets.lost)} lost`);
  const share = `${(validity.sentShare * 100).toFixed(1)} % of the packets planned`;
  const { writes, leaseRenewals, watchEvents, peakEventsPerSecond } = registry;
  const events = `${count(watchEvents)} watch events (peak ${count(peakEventsPerSecond)}/s)`;
  return [
    `${count(packets.sent)} packets sent (${share}), ${count(packets.received)} received, ${lost}`,
    `registry: ${count(writes)} writes, ${events}, ${count(leaseRenewals)} lease renewals`,
    ...(counted === null ? [] : [`kernels: ${count(counted)} packets counted as errors`]),
    ...(bulk === null ? [] : [describeBulk(bulk)]),
    "",
  ];
}

function describeBulk({ from, to, bytesSent, bytesReceived, longestPauseMs, broken }: BulkReport): string {
  const path = `bulk TCP stream ${from} to ${to}`;
  const bytes = `${count(bytesReceived)} of ${count(bytesSent)} bytes`;
  const how = broken === null ? "" : `, broken: ${broken}`;
  return `${path}: ${bytes}, longest pause ${seconds(longestPauseMs)}${how}`;
}

function describeLosses(report: LabReport, colors: Colors): readonly string[] {
  if (report.losses.length === 0) return [];
  const places = report.losses.slice(0, placesShown).flatMap((place) => describePlace(place));
  const more = report.losses.length - placesShown;
  return [
    colors.bold(
      `Where, when and why ${count(report.packets.lost)} packets were lost (${nameOfRun(report)}):`,
    ),
    ...places,
    ...(more > 0 ? [`  and ${more} more places: see -o json`] : []),
    "",
  ];
}

function describePlace(place: LossPlace): readonly string[] {
  const { node, reason, packets, firstMs, lastMs, worstPair, rotationKeyId, cause } = place;
  const from = rotationKeyId === null ? "" : ` of the rotation to key ${rotationKeyId}`;
  const when = `from +${seconds(firstMs)} to +${seconds(lastMs)}${from}`;
  const pair = `worst pair ${worstPair.from} to ${worstPair.to} (${count(worstPair.packets)})`;
  const where = `  ${node}: ${count(packets)} ${reason}, ${when}, ${pair}`;
  return cause === null ? [where] : [where, `    because ${cause}`];
}

function verdict(report: LabReport, colors: Colors): readonly string[] {
  const problems = problemsOf(report, colors);
  if (problems.length > 0) return problems;
  return [
    report.ok
      ? colors.green("hitless: nothing was lost")
      : colors.red("not hitless: packets were lost"),
  ];
}

/** Why a run does not count, or did not end. */
function problemsOf(report: LabReport, colors: Colors): readonly string[] {
  const stuck = report.rotations.flatMap((rotation) =>
    rotation.stuck === null ? [] : [rotation.stuck],
  );
  const problems = [...report.validity.problems, ...stuck];
  return problems.map((problem) => colors.red(`this run proves nothing: ${problem}`));
}

function nextCommands({ seed, directory }: LabReport, colors: Colors): readonly string[] {
  const kept = directory === null ? [] : [`Kept: ${directory}`, ""];
  const commands = [
    ["spindle lab --rotations 20 --keep", "and kill -9 an agent meanwhile: it says how"],
    [
      `spindle lab --seed ${seed}`,
      "replay: the slow node and the rhythm of the packets come from the seed",
    ],
    [
      "spindle lab --coordination pairwise",
      "every agent watches every other one, no controller decides",
    ],
    [
      "spindle lab --nodes 10 --jitter slotted",
      "a larger fleet that does not load its key all at once",
    ],
    ["spindle lab --dataplane kernel", "the same on the kernel's XFRM, one namespace for each node"],
  ];
  return [
    ...kept,
    colors.bold("Try next:"),
    ...commands.map(([command = "", why]) => `  ${command.padEnd(42)}${why}`),
  ];
}
