/** A controller of the lab. */
import { join } from "node:path";
import { noteEnd } from "./node-unit.js";
import { Program } from "./program.js";

export interface ControllerProgramOptions {
  /** As people see it. */
  readonly name: string;
  /** Holds its log. */
  readonly directory: string;
  /** Its configuration file. */
  readonly config: string;
  /** How to run `spindle`: program and first arguments. */
  readonly spindle: readonly string[];
  readonly recordFlags: readonly string[];
  readonly note: (line: string) => void;
  readonly gaveUp: (why: string) => void;
}

export function makeController(options: ControllerProgramOptions): Program {
  const { name, directory, config, spindle, recordFlags, note, gaveUp } = options;
  const command = [...spindle, "lab-controller", "--config", config, ...recordFlags];
  const logPath = join(directory, "controller.log");
  const pidPath = join(directory, "controller.pid");
  return new Program(
    { name, command: () => command, logPath, pidPath },
    { ended: (how) => noteEnd(note, name, how), gaveUp },
  );
}
