/** `spindle modelcheck`: every interleaving of a small fleet, with the agents' own steps. Here are its flags. */
import { Command, InvalidArgumentError, Option } from "commander";
import { mutantNames } from "../../modelcheck/mutants.js";
import { addOutputOptions, type OutputOptions } from "../output.js";
import { checkModel } from "../modelcheck/check.js";
import type { Shell } from "../shell.js";

export interface ModelcheckFlags extends OutputOptions {
  readonly nodes: 2 | 3;
  readonly coordination: "barrier" | "pairwise";
  readonly controllers: number;
  readonly crashes: number;
  readonly reboots: number;
  readonly rotations: number;
  readonly aborts: number;
  readonly joins: number;
  readonly losses: number;
  readonly silences: number;
  readonly levels: number;
  readonly mutant?: string;
  readonly statesMax: number;
  readonly minutes?: number;
  readonly trace?: string;
}

const examples = `
Examples:
  $ spindle modelcheck --crashes 1                      two nodes, one rotation, one crash anywhere
  $ spindle modelcheck --coordination pairwise --rotations 2 --aborts 1
  $ spindle modelcheck --nodes 3 --crashes 1 --mutant switch-without-evidence --trace run.json
  $ spindle simulate --replay run.json                  the same run in the simulator
Exit codes: 0 it holds within these bounds; 1 a counterexample; 4 stopped at a limit before all was visited.`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("modelcheck")
    .description("search every interleaving of a small fleet for a run that breaks an invariant")
    .addOption(new Option("--nodes <n>", "nodes").argParser(countBetween(2, 3)).default(2))
    .addOption(
      new Option("--coordination <kind>", "who keeps the barriers").choices(["barrier", "pairwise"]).default("barrier"),
    )
    .addOption(
      new Option("--controllers <n>", "barrier: controllers, all of which believe to lead")
        .argParser(countBetween(1, 2))
        .default(1),
    );
  for (const [flag, what, count] of budgets) {
    command.addOption(new Option(`--${flag} <n>`, what).argParser(countBetween(0, 9)).default(count));
  }
  command
    .addOption(new Option("--mutant <name>", "take a guard of the protocol away").choices(mutantNames()))
    .addOption(
      new Option("--states-max <n>", "stop after so many states").argParser(countBetween(1, 1e9)).default(20_000_000),
    )
    .addOption(new Option("--minutes <n>", "stop after so many minutes").argParser(parseMinutes))
    .option("--trace <file>", "write the counterexample here, for spindle simulate --replay");
  return addOutputOptions(command)
    .addHelpText("after", examples)
    .action(async (flags: ModelcheckFlags) => {
      const idle = flags.coordination === "barrier" ? [] : ["controllers", "silences", "levels"].filter((name) => command.getOptionValueSource(name) === "cli");
      if (idle[0] !== undefined) command.error(`error: --${idle[0]} needs --coordination barrier: pairwise has no controller`);
      await checkModel(flags, shell);
    });
}

const budgets: readonly (readonly [string, string, number])[] = [
  ["rotations", "newer keys that the operator distributes", 1],
  ["crashes", "agents or controllers that die, anywhere", 0],
  ["reboots", "kernels that lose all state", 0],
  ["aborts", "aborts that the operator asks for", 0],
  ["joins", "of the nodes, so many join a running fleet", 0],
  ["losses", "watches with a gap, and reports that get lost", 0],
  ["silences", "barrier: nodes that a controller takes for silent and excludes", 0],
  ["levels", "barrier: levels that the operator asks for: require, then off; the fleet begins at accept", 0],
];

function countBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const count = Number(text);
    if (/^\d+$/.test(text) && count >= least && count <= most) return count;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function parseMinutes(text: string): number {
  const minutes = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && minutes > 0) return minutes;
  throw new InvalidArgumentError("It must be a number of minutes above 0.");
}
