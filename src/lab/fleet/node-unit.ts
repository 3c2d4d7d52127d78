/** One node of the lab: its dataplane, its agent, and what a fault does to them. */
import { join } from "node:path";
import type { Program } from "./program.js";
import { Program as SupervisedProgram } from "./program.js";
import type { FleetView } from "./fleet-view.js";
import type { NodeLayout } from "./layout.js";
import type { DataplaneUnit } from "./dataplane-unit.js";

export interface NodeUnit {
  /** From 0. */
  readonly node: number;
  readonly name: string;
  readonly layout: NodeLayout;
  readonly dataplane: DataplaneUnit;
  readonly agent: Program;
}

export interface AgentProgramOptions {
  readonly node: number;
  readonly name: string;
  readonly layout: NodeLayout;
  readonly spindle: readonly string[];
  readonly isAdvertiseFirst: boolean;
  readonly stagingDelayMs: number;
  readonly view: FleetView;
  readonly note: (line: string) => void;
  readonly gaveUp: (why: string) => void;
}

/** The agent: the same program as `spindle agent`, with the lab's two overrides and its leash. */
export function makeAgentProgram(options: AgentProgramOptions): Program {
  const { node, name, layout, spindle, view, note } = options;
  const overrides = [
    ...(options.isAdvertiseFirst ? ["--order", "advertise-first"] : []),
    ...(options.stagingDelayMs > 0 ? ["--staging-delay-ms", `${options.stagingDelayMs}`] : []),
  ];
  const command = [...spindle, "lab-agent", "--config", layout.config, ...overrides];
  const spec = {
    name: `${name} agent`,
    command: () => command,
    logPath: join(layout.directory, "agent.log"),
    pidPath: join(layout.directory, "agent.pid"),
  };
  return new SupervisedProgram(spec, {
    // A machine that starts says only what changes from here.
    started: () => view.setPhase(node, "steady", null),
    logLine: (line) => view.readAgentLog(node, line),
    ended: ({ signal, code, wanted }) => {
      view.setPhase(node, "down", null);
      if (!wanted) note(`${name} agent ended (${signal ?? `code ${code}`}), starts again`);
    },
    gaveUp: options.gaveUp,
  });
}
