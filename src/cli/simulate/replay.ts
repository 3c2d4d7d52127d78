/**
 * `spindle simulate --replay PATH`: feeds recordings to this program's machines and says where they first do something
 * else. A recording is read as a stream, so its size does not matter.
 */
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream";
import { createGunzip } from "node:zlib";
import { stepAgent } from "../../core/rotation/step.js";
import { Replay, type ReplayFault, type ReplayOptions, type ReplayResult } from "../../sim/replay/replay.js";
import { advertiseFirst } from "../../sim/scenarios/field/advertise-first.js";
import { describeTurn } from "../../sim/replay/words.js";
import { CliError } from "../exit.js";
import { isRecordingName, recordingSuffix } from "../lab/record-directory.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import { describeRecordings } from "./replay-text.js";
import { viewOf, type RecordingView } from "./replay-view.js";

export interface ReplayFlags extends OutputOptions {
  /** A recording, or a directory of them. */
  readonly replay: string;
  /** The last line to replay. */
  readonly until?: number;
  /** A line for each turn. */
  readonly verbose?: true;
}

/** Exit 0 when everything is done again, 1 at a difference, 2 when a file is not a whole recording. */
export async function replayRecordings(flags: ReplayFlags, shell: Shell): Promise<void> {
  const format = formatOf(flags);
  const isText = format === "table" || format === "wide";
  if (flags.verbose === true && !isText) throw badUsage("--verbose is for people: leave it out with JSON and YAML");
  const paths = await findRecordings(flags.replay);
  const recordings: RecordingView[] = [];
  const faults: CliError[] = [];
  for (const path of paths) {
    const result = await replayFile(path, optionsOf(flags, shell));
    recordings.push(viewOf(path, result));
    faults.push(...result.faults.map((fault) => faultOf(path, fault)));
  }
  const isSame = recordings.every(({ difference }) => difference === null);
  const view = { schemaVersion: 1, recordings, ok: isSame && faults.length === 0 };
  await printResult(shell.stdout, format, view, () => describeRecordings(recordings, shell.stdout));
  if (!isSame) shell.exitWith(1);
  else if (faults[0] !== undefined) throw faults[0];
}

function optionsOf({ until, verbose }: ReplayFlags, shell: Shell): ReplayOptions {
  return {
    steps: { named: { "advertise-first": advertiseFirst(stepAgent) } },
    ...(until === undefined ? {} : { untilLine: until }),
    ...(verbose === true ? { told: (turn) => void shell.stdout.write(`${describeTurn(turn)}\n`) } : {}),
  };
}

async function findRecordings(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => isRecordingName(name));
    if (names.length === 0) throw unreadable(`${path} has no file NAME${recordingSuffix}`);
    return names.sort().map((name) => join(path, name));
  } catch (cause) {
    throw cause instanceof CliError ? cause : unreadable(String((cause as Error).message));
  }
}

async function replayFile(path: string, options: ReplayOptions): Promise<ReplayResult> {
  const replay = new Replay(options);
  for await (const line of linesOf(path)) if (!replay.feed(line)) break;
  return replay.finish();
}

/** Ends at "\n" alone: a text in a recording may have other line ends. */
async function* linesOf(path: string): AsyncGenerator<string> {
  let rest = "";
  try {
    for await (const chunk of textOf(path)) {
      const lines = (rest + String(chunk)).split("\n");
      rest = lines.pop() ?? "";
      yield* lines;
    }
  } catch (cause) {
    const { message } = cause as Error;
    if (!isEndMissing(cause)) throw unreadable(message);
    // A compressed file that is cut off has lost the end of a line, wherever that was.
    rest += "…";
  }
  if (rest !== "") yield rest;
}

/** zlib's code for a stream that ends too early. */
function isEndMissing(cause: unknown): boolean {
  return /^Z_BUF_ERROR$/.test((cause as NodeJS.ErrnoException).code ?? "");
}

function textOf(path: string): AsyncIterable<unknown> {
  const file = createReadStream(path);
  if (!path.endsWith(".gz")) return file.setEncoding("utf8");
  // The pipeline gives a fault of the file on to its reader.
  return pipeline(file, createGunzip(), () => undefined).setEncoding("utf8");
}

const faultCodes: Readonly<Record<ReplayFault["kind"], string>> = {
  "not-a-recording": "RECORDING_UNKNOWN",
  "unknown-version": "RECORDING_VERSION",
  "unknown-step": "RECORDING_STEP",
  "cut-off": "RECORDING_CUT_OFF",
  damaged: "RECORDING_DAMAGED",
};

function faultOf(path: string, { kind, line, message }: ReplayFault): CliError {
  return new CliError({ exitCode: 2, code: faultCodes[kind], message: `${path}: line ${line}: ${message}` });
}

function unreadable(message: string): CliError {
  return new CliError({ exitCode: 2, code: "RECORDING_UNREADABLE", message });
}

function badUsage(message: string): CliError {
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}
