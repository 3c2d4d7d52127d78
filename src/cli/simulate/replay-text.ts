/** What people see of `spindle simulate --replay`. */
import { colorsFor, type Terminal } from "../../adapters/system/terminal.js";
import type { DifferenceView, RecordingView } from "./replay-view.js";

export function describeRecordings(recordings: readonly RecordingView[], stdout: Terminal): string {
  return recordings.flatMap((recording) => describeRecording(recording, stdout)).join("\n");
}

function describeRecording(recording: RecordingView, stdout: Terminal): readonly string[] {
  const colors = colorsFor(stdout);
  const { path, difference, faults } = recording;
  const about = `${path}: ${describeSize(recording)}`;
  if (difference !== null) return [`${about}: ${colors.red("differs")}`, ...describeDifference(difference, recording)];
  const isRecording = recording.runs.length > 0;
  if (faults.length > 0) return [`${about}: ${colors.yellow(isRecording ? "the same as far as it goes" : "nothing to replay")}`];
  return [`${about}: ${colors.green("the same")}`];
}

function describeSize({ kind, name, runs }: RecordingView): string {
  if (kind === null) return "no recording";
  const sum = (of: "inputs" | "turns" | "durationMs"): number => runs.reduce((total, run) => total + run[of], 0);
  const who = `${kind === "agent-recording" ? "agent" : "controller"} ${name ?? ""}`;
  const times = runs.length === 1 ? "1 run" : `${runs.length} runs`;
  return `${who}, ${times}, ${sum("inputs")} inputs, ${sum("turns")} turns in ${(sum("durationMs") / 1_000).toFixed(1)} s`;
}

function describeDifference(difference: DifferenceView, { path, runs }: RecordingView): readonly string[] {
  const { line, run, turn, atMs, after } = difference;
  const program = runs[run - 1]?.program ?? "";
  return [
    `  line ${line}: run ${run} (${program}), turn ${turn}, at ${atMs.toFixed(3)} ms`,
    ...after.map(({ line: inputLine, what }) => `  line ${inputLine}: ${what}`),
    `  recorded: ${difference.recordedTurn}`,
    `  now:      ${difference.turnNow}`,
    `  first difference${difference.path === "" ? "" : ` at ${difference.path}`}`,
    `    recorded: ${difference.recorded ?? "nothing"}`,
    `    now:      ${difference.now ?? "nothing"}`,
    `  spindle simulate --replay ${path} --until ${line} --verbose tells how it came there`,
  ];
}
