/** One node of the lab: its dataplane, and its agent, a program of its own that runs where the dataplane is. */
import { join } from "node:path";
import type { Ledger } from "../ledger/ledger.js";
import type { Outage } from "../ledger/losses.js";
import { KernelDataplane } from "../kernel/kernel-dataplane.js";
import type { KernelNetwork } from "../kernel/kernel-network.js";
import type { CountedDrops } from "../ledger/counted-drops.js";
import type { AddressFamily, IpsecMode } from "../../core/node.js";
import type { Encapsulation } from "../options.js";
import { DataplaneUnit } from "./dataplane-unit.js";
import type { FleetView } from "./fleet-view.js";
import type { NodeLayout } from "./layout.js";
import type { NodeDataplane } from "./node-dataplane.js";
import { Program, type ProgramEnd } from "./program.js";

export interface NodeUnit {
  /** From 0. */
  readonly node: number;
  readonly name: string;
  readonly layout: NodeLayout;
  readonly dataplane: NodeDataplane;
  readonly agent: Program;
}

export interface NodeUnitOptions {
  readonly node: number;
  readonly name: string;
  readonly layout: NodeLayout;
  /** How to run `spindle`. */
  readonly spindle: readonly string[];
  /** More words for its agent: where to leave a recording. */
  readonly recordFlags: readonly string[];
  readonly isAdvertiseFirst: boolean;
  readonly stagingDelayMs: number;
  readonly view: FleetView;
  readonly ledger: Ledger;
  /** Null for userspace dataplanes. */
  readonly network: KernelNetwork | null;
  readonly provesPaths: boolean;
  readonly family: AddressFamily;
  readonly encapsulation: Encapsulation;
  readonly ipsecMode: IpsecMode;
  readonly drops: CountedDrops;
  readonly newInstance: () => number;
  readonly opened: (receiver: number) => void;
  readonly outage: (outage: Outage) => void;
  readonly note: (line: string) => void;
  readonly gaveUp: (why: string) => void;
}

export function makeNodeUnit(options: NodeUnitOptions): NodeUnit {
  const { node, name, layout } = options;
  const dataplane = makeDataplane(options);
  return { node, name, layout, dataplane, agent: makeAgent(options, dataplane) };
}

function makeDataplane(options: NodeUnitOptions): NodeDataplane {
  const { node, name, layout, spindle, ledger, newInstance, opened, outage, note, gaveUp } =
    options;
  const { network, family, encapsulation, ipsecMode, drops, provesPaths } = options;
  const shared = { node, name, ledger, newInstance, opened, outage };
  if (network !== null) return new KernelDataplane({ ...shared, network, family, encapsulation, ipsecMode, drops, provesPaths });
  const ended = (how: ProgramEnd): void => noteEnd(note, `${name} dataplane`, how);
  return new DataplaneUnit({ ...shared, layout, spindle, ended, gaveUp });
}

/** The same program as `spindle agent`, with the lab's two overrides and its leash. */
function makeAgent(options: NodeUnitOptions, dataplane: NodeDataplane): Program {
  const { node, name, layout, spindle, view, note, gaveUp } = options;
  const overrides = [
    ...(options.isAdvertiseFirst ? ["--order", "advertise-first"] : []),
    ...(options.stagingDelayMs > 0 ? ["--staging-delay-ms", `${options.stagingDelayMs}`] : []),
  ];
  const command = [...spindle, "lab-agent", "--config", layout.config, ...overrides, ...options.recordFlags];
  const spec = {
    name: `${name} agent`,
    command: () => command,
    logPath: join(layout.directory, "agent.log"),
    pidPath: join(layout.directory, "agent.pid"),
    within: <T>(run: () => T): T => dataplane.within(run),
  };
  return new Program(spec, {
    // A machine starts in this phase, and logs only changes.
    started: () => view.setPhase(node, "steady", null),
    logLine: (line) => view.readAgentLog(node, line),
    ended: (how) => {
      view.setPhase(node, "down", null);
      noteEnd(note, spec.name, how);
    },
    gaveUp,
  });
}

/** Says what ended without being asked to, which then starts again. */
export function noteEnd(note: (line: string) => void, name: string, how: ProgramEnd): void {
  if (how.wanted) return;
  note(`${name} ended (${how.signal ?? `code ${how.code}`}), starts again`);
}
