/**
 * `spindle simulate`: the agents' and the controllers' own code without a fleet, in virtual time. One flag chooses what
 * is done: a fleet that rotates, a scenario of the field, a swarm of seeds, or the replay of a recording.
 */
import { Command, InvalidArgumentError } from "commander";
import { CliError } from "../exit.js";
import { addOutputOptions, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import { simulateFleets } from "../simulate/fleet-runs.js";
import { listNames } from "../simulate/listing.js";
import { isCounterexample, playCounterexample } from "../simulate/counterexample.js";
import { replayRecordings } from "../simulate/replay.js";
import { addRunFlags, planRuns, runFlagNames, type RunFlags } from "../simulate/run-flags.js";
import { playScenario } from "../simulate/scenario.js";
import { runSwarm } from "../simulate/swarm.js";

interface SimulateFlags extends OutputOptions, RunFlags {
  readonly report?: string;
  readonly scenario?: string;
  readonly swarm?: number;
  readonly minutes?: number;
  readonly replay?: string;
  readonly until?: number;
  readonly verbose?: true;
  readonly list?: true;
}

/** What each mode takes besides the flag that chooses it. */
const modes = {
  list: [],
  scenario: ["seed", "nodes"],
  swarm: ["seed", "mutant", "minutes"],
  minutes: ["seed", "mutant", "swarm"],
  replay: ["until", "verbose"],
} as const satisfies Readonly<Record<string, readonly string[]>>;

const examples = `
Examples:
  $ spindle simulate --nodes 200 --report run.html                a rotation of 200 nodes, as a page
  $ spindle simulate --compare order=advertise-first,stage-first --slow-node 2s --report compare.html
  $ spindle simulate --compare jitter=off,60s --coordination pairwise
  $ spindle simulate --scenario cilium-44701                      a failure of the field, before and after
  $ spindle simulate --swarm 200                                  200 fleets with drawn faults
  $ spindle simulate --swarm 20 --mutant retire-without-drain     and what a missing guard does
  $ spindle simulate --replay node-2.jsonl --verbose              does this version do what was recorded?
Exit codes: 0 every invariant held; 1 one did not, or a replay differs; 2 bad usage or input.`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("simulate").description(
    "run the code of agents and controllers in virtual time: same seed, same run",
  );
  addRunFlags(command)
    .option("--report <file>", "write a page with charts of the run, one HTML file")
    .option("--scenario <name>", "play a failure of the field, as it was and with ours")
    .option("--swarm <seeds>", "run that many fleets with drawn options and faults, from --seed on", parseCount)
    .option("--minutes <minutes>", "run seeds for so long", parseCount)
    .option("--replay <path>", "a recording, or a directory of them, of an agent, a controller or a lab; or a counterexample")
    .option("--until <line>", "replay up to this line of the recording", parseCount)
    .option("--verbose", "tell each turn of the replay in one line")
    .option("--list", "list scenarios and mutants");
  addOutputOptions(command).addHelpText("after", examples);
  return command.action(async (flags: SimulateFlags) => {
    const isChosen = (name: string): boolean => command.getOptionValueSource(name) === "cli";
    refuseContradictions(isChosen);
    await act(flags, isChosen, shell);
  });
}

async function act(flags: SimulateFlags, isChosen: (name: string) => boolean, shell: Shell): Promise<void> {
  const { scenario, swarm, minutes, replay, mutant } = flags;
  if (flags.list === true) return listNames(flags, shell);
  if (scenario !== undefined) return playScenario(scenario, isChosen("nodes") ? flags.nodes : null, flags, shell);
  if (replay !== undefined && (await isCounterexample(replay))) {
    const stray = (["until", "verbose"] as const).find(isChosen);
    if (stray !== undefined) throw badUsage(`--${stray} is for recordings, and ${replay} is a counterexample`);
    return playCounterexample(replay, flags, shell);
  }
  if (replay !== undefined) return replayRecordings({ ...flags, replay }, shell);
  if (swarm === undefined && minutes === undefined) return simulateFleets(planRuns(flags, isChosen), flags, shell);
  return runSwarm(
    { firstSeed: flags.seed, seeds: swarm ?? null, minutes: minutes ?? null, mutant: mutant ?? null },
    flags,
    shell,
  );
}

/** A flag that a mode does not take would be ignored: it is refused. */
function refuseContradictions(isChosen: (name: string) => boolean): void {
  const mode = (Object.keys(modes) as (keyof typeof modes)[]).find(isChosen);
  const all = [...runFlagNames, "report", "until", "verbose", ...Object.keys(modes)];
  const taken: readonly string[] = mode === undefined ? [...runFlagNames, "report"] : [mode, ...modes[mode]];
  const stray = all.find((name) => isChosen(name) && !taken.includes(name));
  if (stray === undefined) return;
  const message = mode === undefined ? `--${dashed(stray)} goes with --replay` : `--${mode} does not take --${dashed(stray)}`;
  throw badUsage(message);
}

function badUsage(message: string): CliError {
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message, hint: "leave it out" });
}

function dashed(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function parseCount(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number from 1.");
}
