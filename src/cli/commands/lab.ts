/**
 * `spindle lab`: a fleet on this machine, real packets between all its nodes, and rotations; prints
 * what was lost and why. The lab itself is in src/lab; here are its flags and what people see.
 */
import { Command, InvalidArgumentError, Option } from "commander";
import { checkLabOptions, labDefaults, type LabOptions } from "../../lab/options.js";
import { formatDuration, parseDuration } from "../duration.js";
import { CliError } from "../exit.js";
import { addGatewayOptions, labGateways, type GatewayLabFlags } from "../lab/gateways.js";
import { comparedRuns, isAsCompared } from "../lab/compare.js";
import { describeComparison, describeReport } from "../lab/result-text.js";
import { makeRecordDirectory } from "../lab/record-directory.js";
import { runLab } from "../lab/run.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface LabFlags extends OutputOptions, GatewayLabFlags {
  readonly nodes: number;
  readonly rate: number;
  readonly coordination: LabOptions["coordination"];
  readonly order: LabOptions["order"];
  readonly slowNode: number;
  readonly drain: number;
  readonly jitter: LabOptions["jitter"];
  readonly seed: number;
  readonly dataplane: LabOptions["dataplane"];
  readonly ipv6?: true;
  readonly registry: "embedded" | "etcd" | "kubernetes";
  readonly registryEndpoint: LabOptions["registryEndpoints"];
  readonly ipsecMode: "transport" | "tunnel";
  readonly encapsulation?: LabOptions["encapsulation"];
  readonly compare?: true;
  readonly record?: string;
}

const examples = `
Examples:
  $ spindle lab                         5 nodes, 3 rotations behind a barrier: loses nothing
  $ spindle lab --compare               today's order loses packets first, then ours loses none
  $ spindle lab --registry etcd         the same on an etcd that the lab starts
  $ spindle lab --registry kubernetes   the same on a Kubernetes API server that the lab starts
  $ spindle lab --coordination pairwise --order advertise-first --slow-node 2s
  $ spindle lab --gateways 2            VPN gateways over real OpenVPN, certificates rotated under traffic
  $ spindle lab --rotations 20 --keep   and kill -9 an agent meanwhile: it says how
Exit codes: 0 nothing was lost; 1 packets were lost, or the run proves nothing; 2 bad usage.`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("lab").description(
    "run a fleet on this machine, rotate its key under traffic, and say what was lost",
  );
  addFleetOptions(command);
  addProtocolOptions(command);
  addPlaceOptions(command);
  addGatewayOptions(command);
  addOutputOptions(command).addHelpText("after", examples);
  return command.action(async (flags: LabFlags) => {
    if (await labGateways(command, flags, shell)) return;
    if (flags.compare === true) refuseChosen(command, ["coordination", "order", "record"]);
    await act(flags, shell);
  });
}

/** How large, how often, how fast. */
function addFleetOptions(command: Command): void {
  const { nodes, rotations, rate, seed } = labDefaults;
  command
    .option("--nodes <count>", "nodes of the fleet", parseWhole, nodes)
    .option("--rotations <count>", "rotations to run", parseWhole, rotations)
    .option("--rate <packets>", "packets per second from each node to each", parseWhole, rate)
    .option("--seed <number>", "which node is slow, and the traffic's rhythm", parseWhole, seed)
    .option("--keep", "leave the directory with configurations, logs and state")
    .option("--record <directory>", "recordings of all agents and the controller, for simulate --replay")
    .option("--compare", "today's order, then ours, with the same slow node");
}

/** What the fleet does, and what is in its way. */
function addProtocolOptions(command: Command): void {
  const { slowNodeMs, drainMs } = labDefaults;
  command
    .addOption(choice("--coordination <kind>", "who decides", ["barrier", "pairwise"]))
    .addOption(choice("--order <order>", "what is first", ["stage-first", "advertise-first"]))
    .addOption(duration("--slow-node <time>", "added to the staging of one node", slowNodeMs))
    .addOption(duration("--drain <time>", "how long the old key must be idle", drainMs))
    .addOption(choice("--jitter <kind>", "before a new key", ["off", "uniform", "slotted"]));
}

/** What it runs on. */
function addPlaceOptions(command: Command): void {
  command
    .addOption(choice("--dataplane <kind>", "who encrypts", ["userspace", "kernel"]))
    .addOption(choice("--registry <kind>", "the store", ["embedded", "etcd", "kubernetes"]))
    .addOption(
      new Option("--registry-endpoint <url>", "an etcd that runs already, as http://127.0.0.1:2379; may be repeated")
        .argParser(addEndpoint)
        .default([], "the lab starts what it needs"),
    )
    .addOption(choice("--ipsec-mode <mode>", "what is protected: traffic between the nodes or, on the kernel, between networks behind them", ["transport", "tunnel"]))
    .option("--ipv6", "the nodes' addresses are IPv6; with --dataplane kernel")
    .addOption(
      new Option("--encapsulation <kind>", "what carries ESP (default: udp in userspace, none on the kernel)").choices(["udp", "none"]),
    );
}

async function act(flags: LabFlags, shell: Shell): Promise<void> {
  const options = toOptions(flags);
  const format = formatOf(flags);
  if (flags.compare === true) return compare(options, format, shell);
  const checkedOptions = checked(options);
  const recordDirectory = flags.record === undefined ? null : await makeRecordDirectory(flags.record);
  const report = await runLab(checkedOptions, "", shell, recordDirectory);
  await printResult(shell.stdout, format, report, (wide) =>
    describeReport(report, shell.stdout, wide),
  );
  if (!report.ok) shell.exitWith(1);
}

async function compare(
  options: LabOptions,
  format: ReturnType<typeof formatOf>,
  shell: Shell,
): Promise<void> {
  const { today, ours } = comparedRuns(options);
  const first = await runLab(checked(today), "today's order: ", shell, null);
  const second = await runLab(checked(ours), "spindle: ", shell, null);
  const ok = isAsCompared(first, second);
  const result = { schemaVersion: 1, runs: [first, second], ok };
  await printResult(shell.stdout, format, result, (wide) => {
    return describeComparison(first, second, shell.stdout, wide);
  });
  if (!ok) shell.exitWith(1);
}

function toOptions(flags: LabFlags): LabOptions {
  const { nodes, rotations, rate, coordination, order, jitter, seed } = flags;
  const { slowNode: slowNodeMs, drain: drainMs, keep = false, dataplane, ipv6 = false } = flags;
  const fleet = { nodes, rotations, rate, coordination, order, slowNodeMs, drainMs, jitter };
  const { registry, registryEndpoint: registryEndpoints } = flags;
  const { encapsulation = dataplane === "kernel" ? "none" : "udp" } = flags;
  const place = { dataplane, registry, registryEndpoints, ipv6, encapsulation, ipsecMode: flags.ipsecMode };
  return { ...fleet, ...place, seed, keep };
}

function checked(options: LabOptions): LabOptions {
  const result = checkLabOptions(options);
  if (result.ok) return result.value;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message: result.error });
}

/** A comparison chooses these itself. */
function refuseChosen(command: Command, names: readonly string[]): void {
  const chosen = names.find((name) => command.getOptionValueSource(name) === "cli");
  if (chosen === undefined) return;
  const message = `--compare runs both ways: leave --${chosen} out`;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}

/** The first choice is the default. */
function choice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices).default(choices[0]);
}

function duration(flags: string, description: string, defaultMs: number): Option {
  const option = new Option(flags, description).argParser(parseTime);
  return option.default(defaultMs, formatDuration(defaultMs));
}

function parseWhole(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

/** Loopback alone: there is no TLS in the lab. */
function addEndpoint(
  text: string,
  before: LabOptions["registryEndpoints"],
): LabOptions["registryEndpoints"] {
  const [, bracketed, plain, port] =
    /^http:\/\/(?:\[(::1)\]|(127\.[\d.]+|localhost)):(\d{1,5})\/?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && Number(port) >= 1 && Number(port) <= 65_535) {
    return [...before, { host, port: Number(port) }];
  }
  throw new InvalidArgumentError("It must be http://HOST:PORT on loopback.");
}

function parseTime(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== null && durationMs <= 60_000) return durationMs;
  throw new InvalidArgumentError("It must be a duration such as 500ms or 2s, at most 60s.");
}
