/** Options that the operator's commands share. */
import { type Command, InvalidArgumentError, Option } from "commander";
import { durationWords, parseDuration } from "../duration.js";

/** Adds `--config`. */
export function addFleetOptions(command: Command): Command {
  return command.option(
    "--config <file>",
    "configuration that says where the fleet is (default: $SPINDLE_CONFIG)",
  );
}

export function parseDurationFlag(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs === null) throw new InvalidArgumentError(`It must be ${durationWords}.`);
  return durationMs;
}

export function durationOption(
  flags: string,
  description: string,
  defaultMs: number,
  shown: string,
): Option {
  return new Option(flags, description).argParser(parseDurationFlag).default(defaultMs, shown);
}
