/** The flags that describe a simulated fleet, and the runs that they ask for. A comparison varies one of them. */
import { Option, InvalidArgumentError, type Command } from "commander";
import { limits } from "../../core/limits.js";
import type { Mutant } from "../../sim/mutants/mutant.js";
import { mutants } from "../../sim/mutants/named-mutants.js";
import { simulationDefaults, type SimulationOptions } from "../../sim/run/simulation-options.js";
import { parseDuration } from "../duration.js";
import { CliError } from "../exit.js";
import { nearest } from "./nearest.js";

/** One run to do, and what tells it from the others. */
export interface PlannedRun {
  readonly name: string | null;
  readonly options: SimulationOptions;
}

export interface RunFlags {
  readonly nodes: number;
  readonly degree: number | null;
  readonly seed: number;
  readonly rotations: number;
  readonly coordination: SimulationOptions["coordination"];
  readonly order: SimulationOptions["order"];
  readonly jitter: number | null;
  readonly jitterMode: "uniform" | "slotted";
  readonly emergency: boolean;
  readonly slowNode: number;
  readonly cpuShare: number;
  readonly keyDistribution: number;
  readonly drain: number;
  readonly rate: number;
  readonly registryRate?: number;
  readonly mutant?: Mutant;
  readonly compare?: Comparison;
}

/** `--compare order=advertise-first,stage-first` */
export interface Comparison {
  readonly flag: string;
  readonly values: readonly string[];
}

interface RunFlag {
  readonly flags: string;
  readonly description: string;
  readonly parse: (text: string) => unknown;
  readonly initial: unknown;
  /** How the default is shown, where that differs. */
  readonly shown?: string;
}

/** Well within 20 bits of node index. What sizes cost is in docs/reference/performance-simulator.md. */
const nodesMax = 100_000;

const runFlags: Readonly<Record<keyof Required<Omit<RunFlags, "compare">>, RunFlag>> = {
  nodes: { flags: "--nodes <count>", description: "nodes of the fleet", parse: whole(2, nodesMax), initial: simulationDefaults.nodes },
  degree: { flags: "--degree <peers>", description: "peers that each node talks to, an even number, or all", parse: parseDegree, initial: null, shown: "all" },
  rotations: { flags: "--rotations <count>", description: "rotations to run", parse: whole(0, 100), initial: 1 },
  seed: { flags: "--seed <number>", description: "all chance comes from it", parse: whole(0, 2 ** 31), initial: 1 },
  coordination: choice("--coordination <kind>", "who decides", ["barrier", "pairwise"]),
  order: choice("--order <order>", "what is first", ["stage-first", "advertise-first"]),
  jitter: { flags: "--jitter <time>", description: "longest wait before a new key, or off", parse: parseJitter, initial: null, shown: "off" },
  jitterMode: choice("--jitter-mode <kind>", "how the waits are spread", ["uniform", "slotted"]),
  slowNode: { flags: "--slow-node <time>", description: "added to the staging of one node", parse: time, initial: 0, shown: "0s" },
  cpuShare: { flags: "--cpu-share <share>", description: "of its CPU that one node gets while it stages", parse: share, initial: 1 },
  emergency: { flags: "--emergency [on|off]", description: "the last rotation is away from a compromised key", parse: onOff, initial: false, shown: "off" },
  keyDistribution: { flags: "--key-distribution <time>", description: "until a new key file is everywhere", parse: time, initial: simulationDefaults.keyDistributionMs, shown: "5s" },
  drain: { flags: "--drain <time>", description: "how long the old key must be idle", parse: time, initial: simulationDefaults.drainMs, shown: "3s" },
  rate: { flags: "--rate <packets>", description: "packets per second from each node to each", parse: whole(1, 1_000), initial: simulationDefaults.rate },
  registryRate: { flags: "--registry-rate <events>", description: "events per second that the registry delivers", parse: whole(1, 1_000_000_000), initial: undefined, shown: "no bound" },
  mutant: { flags: "--mutant <name>", description: "with one guard of the protocol taken away (see --list)", parse: parseMutant, initial: undefined },
};

export function addRunFlags(command: Command): Command {
  for (const { flags, description, parse, initial, shown } of Object.values(runFlags)) {
    command.addOption(new Option(flags, description).argParser(parse).default(initial, shown));
  }
  const compare = new Option("--compare <flag=a,b>", "runs that differ in one flag, side by side").argParser(parseComparison);
  return command.addOption(compare);
}

/** Names of flags that describe a fleet, as the command line parser keeps them. */
export const runFlagNames: readonly string[] = [...Object.keys(runFlags), "compare"];

/** @param isChosen was this flag given, or is its value the default? */
export function planRuns(flags: RunFlags, isChosen: (name: string) => boolean): readonly PlannedRun[] {
  const { compare } = flags;
  const isGiven = (name: string): boolean => isChosen(name) || compare?.flag === kebabCase(name);
  if (isGiven("jitterMode") && !isGiven("jitter")) throw badUsage("--jitter-mode says how waits are spread: it needs --jitter TIME");
  const variants: readonly { readonly name: string | null; readonly flags: RunFlags }[] =
    compare === undefined ? [{ name: null, flags }] : compare.values.map((value) => variantOf(flags, compare.flag, value));
  const isOld = variants.some((variant) => variant.flags.order === "advertise-first");
  const usesBarrier = variants.some((variant) => variant.flags.coordination === "barrier");
  const mayAssume = !isChosen("coordination") && compare?.flag !== "coordination";
  if (isOld && usesBarrier && !mayAssume) throw barrierKnowsNoOrder();
  const refused = variants.find((variant) => variant.flags.order === "advertise-first" && variant.flags.mutant !== undefined);
  if (refused !== undefined) throw badUsage("--mutant changes the rules of --order stage-first: leave --order out");
  const widest = Math.max(...variants.map((variant) => peersOf(variant.flags)));
  if (widest > limits.peersMax) throw badUsage(`one node talks to at most ${limits.peersMax} peers: give a --degree`);
  const changes: Partial<RunFlags> = isOld ? { coordination: "pairwise" } : {};
  return variants.map(({ name, flags: varied }) => ({ name, options: toOptions({ ...varied, ...changes }) }));
}

function variantOf(flags: RunFlags, flag: string, value: string): { readonly name: string; readonly flags: RunFlags } {
  const name = camelCase(flag);
  const known = Object.entries(runFlags).find(([key]) => key === name)?.[1];
  if (known === undefined) {
    throw badUsage(`--compare ${flag}=...: there is no such flag of a fleet; ${nearest(flag, Object.keys(runFlags).map(kebabCase))}`);
  }
  try {
    return { name: `${flag}=${value}`, flags: { ...flags, [name]: known.parse(value) } };
  } catch (cause) {
    if (!(cause instanceof InvalidArgumentError)) throw cause;
    throw badUsage(`--compare ${flag}=${value}: ${cause.message}`);
  }
}

/** How many peers each node talks to. */
export function peersOf({ nodes, degree }: { readonly nodes: number; readonly degree: number | null }): number {
  return Math.min(degree ?? Infinity, nodes - 1);
}

function toOptions(flags: RunFlags): SimulationOptions {
  const { nodes, degree, seed, rotations, coordination, order, jitter, jitterMode, emergency, slowNode, cpuShare, keyDistribution, drain, rate, registryRate, mutant } = flags;
  return {
    nodes,
    degree,
    seed,
    rotations,
    coordination,
    order,
    jitter: jitter === null || jitter === 0 ? "off" : jitterMode,
    jitterMaxMs: jitter ?? 0,
    emergency,
    slowNodeMs: slowNode,
    cpuShare,
    keyDistributionMs: keyDistribution,
    drainMs: drain,
    rate,
    registryRate: registryRate ?? null,
    mutant: mutant ?? null,
  };
}

function choice(flags: string, description: string, choices: readonly [string, ...string[]]): RunFlag {
  const parse = (text: string): string => {
    if (choices.includes(text)) return text;
    throw new InvalidArgumentError(`Allowed choices are ${choices.join(", ")}.`);
  };
  return { flags, description: `${description} (${choices.join(", ")})`, parse, initial: choices[0] };
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    if (/^\d{1,10}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function parseDegree(text: string): number | null {
  if (text === "all") return null;
  const degree = whole(2, limits.peersMax)(text);
  if (degree % 2 === 0) return degree;
  throw new InvalidArgumentError("It must be even: as many peers on either side of a ring.");
}

function time(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== null && durationMs <= limits.configDurationMsMax) return durationMs;
  throw new InvalidArgumentError("It must be a duration such as 500ms, 30s or 5m, at most 7 days.");
}

function share(text: string): number {
  const value = Number(text);
  if (/^[01]?(\.\d{1,6})?$/.test(text) && value > 0 && value <= 1) return value;
  throw new InvalidArgumentError("It must be a share above 0 and at most 1, such as 0.02.");
}

function onOff(text: string): boolean {
  if (text === "on" || text === "off") return text === "on";
  throw new InvalidArgumentError("It must be on or off.");
}

function parseJitter(text: string): number | null {
  return text === "off" ? null : time(text);
}

export function parseMutant(text: string): Mutant {
  const mutant = mutants.get(text);
  if (mutant !== undefined) return mutant;
  throw new InvalidArgumentError(`There is no mutant of that name; ${nearest(text, [...mutants.keys()])}.`);
}

function parseComparison(text: string): Comparison {
  const [, flag = "", list = ""] = /^(?:--)?([a-z-]+)=(.+)$/.exec(text) ?? [];
  const values = list.split(",");
  const isComplete = values.length >= 2 && values.length <= 6 && values.every((value) => value !== "");
  if (isComplete && new Set(values).size === values.length) return { flag, values };
  throw new InvalidArgumentError("It must be one flag with two to six different values, such as order=advertise-first,stage-first.");
}

function barrierKnowsNoOrder(): CliError {
  return badUsage("--order advertise-first needs --coordination pairwise: behind a barrier nobody acts on one node's word");
}

function badUsage(message: string): CliError {
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}

function camelCase(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function kebabCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
