/** Options of gateway commands. */
import { InvalidArgumentError, Option } from "commander";
import { formatDuration, parseDuration } from "../duration.js";

export function durationOption(flags: string, description: string, defaultMs: number): Option {
  return new Option(flags, description).argParser(parseTime).default(defaultMs, formatDuration(defaultMs));
}

function parseTime(text: string): number {
  const durationMs = parseDuration(text);
  if (durationMs !== null && durationMs > 0) return durationMs;
  throw new InvalidArgumentError("It must be a duration such as 30s or 5m.");
}
