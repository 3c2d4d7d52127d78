/** Recordings of the programs of a simulated fleet, as texts. */
import type { Recorder } from "../../src/ports/recorder.js";
import type { SimOptions } from "../../src/sim/options.js";

export interface Recordings {
  /** Lines by program; a restarted program goes on in the same recording. */
  readonly lines: ReadonlyMap<string, readonly string[]>;
  /** To be part of the options of a `SimFleet`. */
  readonly options: Pick<SimOptions, "wrapAgentPorts" | "wrapControllerPorts">;
}

export function makeRecordings(step: string | null = null): Recordings {
  const lines = new Map<string, string[]>();
  const recorderOf = (name: string): Recorder => {
    const list = lines.get(name) ?? [];
    lines.set(name, list);
    return { program: { program: "spindle test", step }, write: (line) => list.push(JSON.stringify(line)) };
  };
  return {
    lines,
    options: {
      wrapAgentPorts: (name, ports) => ({ ...ports, recorder: recorderOf(name) }),
      wrapControllerPorts: (name, ports) => ({ ...ports, recorder: recorderOf(name) }),
    },
  };
}
