/** One log entry as a line for people: time, level, message, then the facts. */
import type { LogFields, LogLevel } from "../../ports/log.js";
import { colorsFor, type Colors, type Terminal } from "../system/terminal.js";

type Entry = LogFields & { readonly level: LogLevel; readonly time: string; readonly msg: string };

/** @param line the JSON line of the same entry */
export function formatEntry(line: string, stream: Terminal): string {
  const { level, time, msg, ...fields } = JSON.parse(line) as Entry;
  const colors = colorsFor(stream);
  const facts = Object.entries(fields).map(
    ([name, value]) => colors.dim(`${name}=`) + formatFact(value),
  );
  const shownLevel = colorOf(level, colors)(level.toUpperCase().padEnd(5));
  const head = `${colors.dim(time.slice(11, 23))} ${shownLevel}`;
  return `${[`${head} ${msg}`, ...facts].join(" ")}\n`;
}

function colorOf(level: LogLevel, colors: Colors): (text: string) => string {
  const byLevel = {
    error: colors.red,
    warn: colors.yellow,
    info: colors.green,
    debug: colors.gray,
  };
  return byLevel[level];
}

/** Quoted when it would not read as one word. */
function formatFact(value: unknown): string {
  const text = String(value);
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}
