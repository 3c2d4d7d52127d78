/** The directory of `spindle lab --record`: one recording of each agent and of the controller, of one run of the lab. */
import { mkdir, readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { CliError } from "../exit.js";

export const recordingSuffix = ".jsonl";

/** Compressed or not. */
export function isRecordingName(name: string): boolean {
  return name.endsWith(recordingSuffix) || name.endsWith(`${recordingSuffix}.gz`);
}

/**
 * Makes it, with mode 0700, if it is not there.
 * @returns its absolute path
 * @throws CliError `RECORDING_EXISTS` when it has recordings of an earlier run, `RECORDING_UNWRITABLE`
 */
export async function makeRecordDirectory(path: string): Promise<string> {
  const directory = resolve(path);
  const names = await makeAndList(directory);
  const earlier = names.find(isRecordingName);
  if (earlier === undefined) return directory;
  const message = `${directory} has ${earlier} of an earlier run: name another directory`;
  throw new CliError({ exitCode: 2, code: "RECORDING_EXISTS", message });
}

async function makeAndList(directory: string): Promise<readonly string[]> {
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    return await readdir(directory);
  } catch (cause) {
    const { message } = cause as Error;
    throw new CliError({ exitCode: 2, code: "RECORDING_UNWRITABLE", message }, { cause });
  }
}
