/** Recordings of the programs of a simulated fleet, as texts, and the check that each does the same again. */
import assert from "node:assert/strict";
import type { Recorder } from "../../src/ports/recorder.js";
import { replayRecording } from "../../src/sim/replay/replay.js";
import type { SimOptions } from "../../src/sim/options.js";

export interface Recordings {
  /** Lines by program; a restarted program goes on in the same recording. */
  readonly lines: ReadonlyMap<string, readonly string[]>;
  /** The options, with recorders around the ports of every program. */
  readonly around: <T extends Partial<SimOptions>>(options: T) => T;
}

/** @param program name and version that the headers show */
export function makeRecordings(program = "spindle test"): Recordings {
  const lines = new Map<string, string[]>();
  const recorderOf = (name: string): Recorder => {
    const list = lines.get(name) ?? [];
    lines.set(name, list);
    return { program: { program, step: null }, write: (line) => list.push(JSON.stringify(line)) };
  };
  const around = <T extends Partial<SimOptions>>(options: T): T => {
    const { wrapAgentPorts, wrapControllerPorts } = options;
    return {
      ...options,
      wrapAgentPorts: (name, ports) => ({ ...(wrapAgentPorts?.(name, ports) ?? ports), recorder: recorderOf(name) }),
      wrapControllerPorts: (name, ports) => {
        return { ...(wrapControllerPorts?.(name, ports) ?? ports), recorder: recorderOf(name) };
      },
    };
  };
  return { lines, around };
}

/** Fails at the first recording in which this code does something else. */
export function assertSameAgain({ lines }: Recordings): void {
  assert.ok(lines.size > 0, "something was recorded");
  for (const [name, recorded] of lines) {
    const { difference, faults, runs } = replayRecording(recorded);
    const first = difference === null ? null : { line: difference.line, ...difference.first };
    assert.deepEqual({ name, faults, first }, { name, faults: [], first: null });
    assert.ok(runs.some(({ turns }) => turns > 0), `${name} took turns`);
  }
}
