/** `spindle lab --gateways`: hub and sites with real OpenVPN on this machine. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { InvalidArgumentError, Option, type Command } from "commander";
import { systemClock } from "../../adapters/system/clock.js";
import type { Terminal } from "../../adapters/system/terminal.js";
import { limits } from "../../core/limits.js";
import { GatewayLab } from "../../lab/gateways/gateway-lab.js";
import type { GatewayLabOptions, GatewayLabReport, GatewayRotationResult } from "../../lab/gateways/gateway-report.js";
import { LabError } from "../../lab/lab-error.js";
import { labRotationsMax } from "../../lab/options.js";
import { checkMachine } from "../daemon/gateway-site.js";
import { CliError } from "../exit.js";
import { formatOf, formatTable, printResult, type Column, type OutputOptions } from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";
import { count, seconds } from "./progress-lines.js";

export interface GatewayLabFlags extends OutputOptions {
  readonly gateways?: number;
  readonly behaviour: GatewayLabOptions["behaviour"];
  readonly registry: GatewayLabOptions["registry"];
  readonly rotations: number;
  readonly keep?: true;
}

export function addGatewayOptions(command: Command): void {
  const behaviour = new Option("--behaviour <kind>", "of --gateways: ours, or the field's, which has one pair").choices(["spindle", "trigger-first"]);
  command
    .option("--gateways <pairs>", "instead of nodes: two sites joined by so many gateway pairs", parsePairs)
    .addOption(behaviour.default("spindle"));
}

/** What goes with `--gateways`; the others are of a fleet of nodes. */
const itsOwn: readonly string[] = ["gateways", "behaviour", "registry", "rotations", "keep", "output", "json"];

/** @returns false when the lab is one of nodes */
export async function labGateways(command: Command, flags: GatewayLabFlags, shell: Shell): Promise<boolean> {
  const isGiven = (name: string): boolean => command.getOptionValueSource(name) === "cli";
  if (flags.gateways === undefined) {
    if (isGiven("behaviour")) throw badUsage("--behaviour goes with --gateways");
    return false;
  }
  const foreign = Object.keys(command.opts()).find((name) => isGiven(name) && !itsOwn.includes(name));
  if (foreign !== undefined) throw badUsage(`--${dashed(foreign)} is of a lab of nodes: leave it or --gateways out`);
  const { rotations, behaviour, registry, keep = false } = flags;
  if (rotations < 1 || rotations > labRotationsMax) throw badUsage(`--rotations must be from 1 to ${labRotationsMax}`);
  if (behaviour === "trigger-first" && isGiven("registry")) throw badUsage("--behaviour trigger-first has no registry: leave --registry out");
  // The field's order has no second pair to fall back on.
  const gateways = behaviour === "trigger-first" ? 1 : flags.gateways;
  await act({ gateways, rotations, behaviour, registry, keep }, flags, shell);
  return true;
}

async function act(options: GatewayLabOptions, flags: GatewayLabFlags, shell: Shell): Promise<void> {
  checkMachine({ openvpn: "/usr/sbin/openvpn" });
  if (!existsSync("/usr/bin/nsenter")) throw new CliError({ exitCode: 1, code: "LAB_NETWORK_UNAVAILABLE", message: "there is no nsenter: apt-get install util-linux" });
  const report = await run(options, shell);
  await printResult(shell.stdout, formatOf(flags), report, (wide) => describe(report, shell.stdout, wide));
  if (!report.ok) shell.exitWith(1);
}

async function run(options: GatewayLabOptions, shell: Shell): Promise<GatewayLabReport> {
  const startedMs = systemClock.nowMs();
  const note = (line: string): void => progress.note(`${seconds(systemClock.nowMs() - startedMs)} ${line}`);
  const spindle = [process.execPath, fileURLToPath(new URL("../main.js", import.meta.url))];
  const host = { spindle, note, signal: shell.interrupted() };
  const lab = await GatewayLab.create(options, host).catch(asFault);
  const progress = startProgress({ stream: shell.stderr, lines: () => [lab.phase] });
  try {
    if (options.keep) note(`configurations, logs and process ids: ${lab.directory}`);
    await lab.start();
    note("traffic goes through the link");
    for (let number = 1; number <= options.rotations; number += 1) note(describeRotation(await lab.rotate()));
    return await lab.finish();
  } catch (cause) {
    await lab.abandon();
    return asFault(cause);
  } finally {
    progress.stop();
  }
}

function asFault(cause: unknown): never {
  if (!(cause instanceof LabError)) throw cause;
  throw new CliError({ exitCode: 1, code: cause.code, message: cause.message }, { cause });
}

function describeRotation({ number, outcome, durationMs, traffic, errorCount }: GatewayRotationResult): string {
  return `rotation ${number} ${outcome} in ${seconds(durationMs)}: ${count(traffic.lost)} lost, ${errorCount} errors logged`;
}

const columns: readonly Column<GatewayRotationResult>[] = [
  { header: "ROTATION", cell: ({ number }) => String(number), align: "right" },
  { header: "OUTCOME", cell: ({ outcome }, colors) => (outcome === "done" ? colors.green(outcome) : colors.red(outcome)) },
  { header: "DURATION", cell: ({ durationMs }) => seconds(durationMs), align: "right" },
  { header: "PINGS", cell: ({ traffic }) => count(traffic.sent), align: "right" },
  { header: "LOST", cell: ({ traffic }) => count(traffic.lost), align: "right" },
  { header: "LONGEST GAP", cell: ({ traffic }) => `${traffic.longestGapMs} ms`, align: "right" },
  { header: "WITH THE MACHINE'S", cell: ({ traffic }) => `${traffic.longestRawGapMs} ms`, align: "right", wide: true },
  { header: "STREAM STALL", cell: ({ traffic }) => `${traffic.streamStallMs} ms`, align: "right" },
  { header: "SOCKET DROPS", cell: ({ socketDrops }) => count(socketDrops), align: "right", wide: true },
  { header: "ERRORS LOGGED", cell: ({ errorCount }) => String(errorCount), align: "right" },
];

function describe(report: GatewayLabReport, stdout: Terminal, wide: boolean): string {
  const { rotations, traffic, problems, openvpn, options } = report;
  const errors = new Map<string, number>();
  for (const { errors: texts } of rotations) {
    for (const [text, times] of Object.entries(texts)) errors.set(text, (errors.get(text) ?? 0) + times);
  }
  const { sent, lost, streamBytes, streamFailures } = traffic;
  const bytes = `${count(Math.round(streamBytes / 1024))} KiB of the stream arrived in order`;
  return [
    formatTable(columns, rotations, stdout, wide),
    "",
    `${count(sent)} pings, ${count(lost)} lost; ${bytes}; OpenVPN ${openvpn}, ${options.gateways} gateway pairs`,
    ...[...errors].map(([text, times]) => `  ${times} times logged: ${text}`),
    ...streamFailures.map((why) => `the stream failed: ${why}`),
    ...problems.map((problem) => `the run proves nothing: ${problem}`),
  ].join("\n");
}

function dashed(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function badUsage(message: string): CliError {
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}

function parsePairs(text: string): number {
  const pairs = /^\d{1,2}$/.test(text) ? Number(text) : 0;
  if (pairs >= 1 && pairs <= limits.gatewayPairsMax) return pairs;
  throw new InvalidArgumentError(`It must be a whole number from 1 to ${limits.gatewayPairsMax}.`);
}
