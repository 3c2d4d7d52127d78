/**
 * Results on stdout: a table for people, or the value itself as JSON or YAML for programs. Nothing
 * but results goes to stdout; progress and faults go to stderr.
 */
import Table from "cli-table3";
import { Option, type Command } from "commander";
import { colorsFor, type Colors, type Terminal } from "../adapters/system/terminal.js";

export type OutputFormat = "table" | "wide" | "json" | "yaml";

const formats: readonly OutputFormat[] = ["table", "wide", "json", "yaml"];

/** What `addOutputOptions` leaves in `command.opts()`. */
export interface OutputOptions {
  readonly output: OutputFormat;
  readonly json?: true;
}

/** Adds `-o, --output` and `--json`, as every command has that prints results (design 8). */
export function addOutputOptions(command: Command): Command {
  return command
    .addOption(
      new Option("-o, --output <format>", "how to print the result")
        .choices(formats)
        .default("table"),
    )
    .addOption(new Option("--json", "short for -o json"));
}

export function formatOf(options: OutputOptions): OutputFormat {
  return options.json === true ? "json" : options.output;
}

export interface Column<Row> {
  readonly header: string;
  readonly cell: (row: Row, colors: Colors) => string;
  readonly align?: "left" | "right";
  /** Shown with `-o wide` only. */
  readonly wide?: true;
}

/**
 * Prints one result.
 * @param value what JSON and YAML show; its shape is the command's contract and carries
 * `schemaVersion`
 * @param asText what people see; called for `table` and `wide` only
 */
export async function printResult(
  stdout: Terminal,
  format: OutputFormat,
  value: unknown,
  asText: (wide: boolean) => string,
): Promise<void> {
  stdout.write(await formatResult(format, value, asText));
}

async function formatResult(
  format: OutputFormat,
  value: unknown,
  asText: (wide: boolean) => string,
): Promise<string> {
  if (format === "json") return `${JSON.stringify(value, null, 2)}\n`;
  if (format === "yaml") {
    const { stringify } = await import("yaml");
    return stringify(value, { lineWidth: 0 });
  }
  return `${asText(format === "wide")}\n`;
}

/** Columns under their headers, without borders: easy to read, and to cut with other tools. */
export function formatTable<Row>(
  columns: readonly Column<Row>[],
  rows: readonly Row[],
  stdout: Terminal,
  wide = false,
): string {
  const colors = colorsFor(stdout);
  const shown = columns.filter((column) => wide || column.wide !== true);
  const table = new Table({
    head: shown.map((column) => colors.bold(column.header)),
    colAligns: shown.map((column) => column.align ?? "left"),
    chars: borderless,
    style: { head: [], border: [], "padding-left": 0, "padding-right": 0 },
  });
  for (const row of rows) table.push(shown.map((column) => column.cell(row, colors)));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

const borderless = {
  top: "",
  "top-mid": "",
  "top-left": "",
  "top-right": "",
  bottom: "",
  "bottom-mid": "",
  "bottom-left": "",
  "bottom-right": "",
  left: "",
  "left-mid": "",
  mid: "",
  "mid-mid": "",
  right: "",
  "right-mid": "",
  middle: "  ",
} as const;
