/** Runs one lab from start to report, with progress on stderr. */
import { fileURLToPath } from "node:url";
import { systemClock } from "../../adapters/system/clock.js";
import { LabError } from "../../lab/lab-error.js";
import { Lab } from "../../lab/lab.js";
import type { LabOptions } from "../../lab/options.js";
import type { LabReport } from "../../lab/report.js";
import { CliError } from "../exit.js";
import { startProgress, type Progress } from "../progress.js";
import type { Shell } from "../shell.js";
import { needsGuest, runInGuest } from "./kernel-run.js";
import { describeFinished, describeProgress } from "./progress-lines.js";

/** Traffic before the first rotation, and after each one, on the key in use. */
const restMs = 700;

const spindle = [process.execPath, fileURLToPath(new URL("../main.js", import.meta.url))];

/**
 * @param title what the run is, in front of its progress; empty for a single run
 * @param recordDirectory for recordings of all agents and the controller, null for none
 */
export async function runLab(
  options: LabOptions,
  title: string,
  shell: Shell,
  recordDirectory: string | null,
): Promise<LabReport> {
  try {
    if (needsGuest(options, shell)) return await runInGuest(options, shell, recordDirectory);
    return await runHere(options, title, shell, recordDirectory);
  } catch (cause) {
    if (!(cause instanceof LabError)) throw cause;
    throw new CliError({ exitCode: 1, code: cause.code, message: cause.message }, { cause });
  }
}

async function runHere(
  options: LabOptions,
  title: string,
  shell: Shell,
  recordDirectory: string | null,
): Promise<LabReport> {
  const signal = shell.interrupted();
  const startedMs = systemClock.nowMs();
  const note = (line: string): void => progress.note(`${elapsed(startedMs)} ${line}`);
  const lab = await Lab.create(options, { spindle, note, signal, recordDirectory });
  const lines = (): readonly string[] => describeProgress(lab, title, systemClock.nowMs());
  const progress: Progress = startProgress({ stream: shell.stderr, lines });
  try {
    note(`${title}starting ${options.nodes} nodes, seed ${options.seed}`);
    if (options.keep) noteDirectory(lab, note);
    return await rotateAll(lab, note);
  } catch (cause) {
    await lab.abandon();
    throw cause;
  } finally {
    progress.stop();
  }
}

async function rotateAll(lab: Lab, note: (line: string) => void): Promise<LabReport> {
  await lab.start();
  const { all } = lab.openPairs;
  note(`every one of ${all} pairs sends; slow node: ${slowName(lab)}`);
  await lab.rest(restMs);
  for (let count = 1; count <= lab.options.rotations; count += 1) {
    const finished = await lab.rotate();
    await lab.rest(restMs);
    note(describeFinished(lab, finished, systemClock.nowMs()));
    if (finished.stuck !== null) break;
  }
  return lab.finish();
}

/** Said at once: the process ids are of use only while the lab runs. */
function noteDirectory(lab: Lab, note: (line: string) => void): void {
  const { directory } = lab.layout;
  note(`configurations, logs and process ids: ${directory}`);
  note(`in another terminal: kill -9 $(cat ${directory}/node-2/agent.pid)`);
}

function slowName(lab: Lab): string {
  return lab.slowNode === null ? "none" : lab.nodes[lab.slowNode]!.name;
}

function elapsed(startedMs: number): string {
  return `${((systemClock.nowMs() - startedMs) / 1_000).toFixed(1).padStart(5)} s `;
}
