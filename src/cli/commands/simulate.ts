/** `spindle simulate`: this program's own steps, without a fleet. Here are its flags. */
import { Command, InvalidArgumentError } from "commander";
import { CliError } from "../exit.js";
import { addOutputOptions, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import { replayRecordings } from "../simulate/replay.js";

interface SimulateFlags extends OutputOptions {
  readonly replay?: string;
  readonly until?: number;
  readonly verbose?: true;
}

const examples = `
Examples:
  $ spindle simulate --replay node-2.jsonl                        does this version do the same?
  $ spindle simulate --replay recordings --verbose                and tell each turn
  $ spindle simulate --replay node-2.jsonl --until 812 --verbose  up to one line of the recording
Exit codes: 0 everything is done again; 1 something else is done; 2 not a whole recording.`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("simulate")
    .description("run the steps of agents and controllers without a fleet")
    .option("--replay <path>", "a recording, or a directory of them, of an agent, a controller or a lab")
    .option("--until <line>", "replay up to this line of the recording", parseLine)
    .option("--verbose", "tell each turn of the replay in one line");
  return addOutputOptions(command)
    .addHelpText("after", examples)
    .action(async (flags: SimulateFlags) => {
      const { replay } = flags;
      if (replay === undefined) throw nothingToDo();
      await replayRecordings({ ...flags, replay }, shell);
    });
}

function parseLine(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be the number of a line, from 1.");
}

function nothingToDo(): CliError {
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message: "give --replay and a recording" });
}
