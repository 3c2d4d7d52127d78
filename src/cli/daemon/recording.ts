/** The recorder of a daemon, as a part of its loop's ports: none unless a file was named. */
import { FileRecorder } from "../../adapters/recording/file-recorder.js";
import type { Closers } from "../../adapters/system/closers.js";
import type { Log } from "../../ports/log.js";
import type { Recorder } from "../../ports/recorder.js";
import { version } from "../version.js";

export interface Recording {
  readonly recorder?: Recorder;
}

/**
 * Open it before the loop, so that it is closed after it.
 * @param step the name of another step than the program's own, null for that
 */
export function openRecording(path: string | null, step: string | null, log: Log, closers: Closers): Recording {
  if (path === null) return {};
  const recorder = new FileRecorder({ path, program: { program: `spindle ${version}`, step }, log });
  closers.add(() => recorder.close());
  return { recorder };
}
