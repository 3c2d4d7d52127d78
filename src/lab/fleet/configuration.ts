/**
 * The configuration files of a lab's programs: the same files that operators write, with the lab's
 * short times. JSON is YAML, so no formatter is needed.
 */
import { writeFile } from "node:fs/promises";
import { labJitterMaxMs, type LabOptions } from "../options.js";
import type { LabLayout, NodeLayout } from "./layout.js";
import type { DataplaneSections } from "./node-dataplane.js";

/**
 * Longer than any rotation of the lab: an old key that goes without evidence would hide a fault.
 */
const retireDeadlineMs = 120_000;
const rotationDurationMs = 60_000;

/** Of agents and controllers alike. */
export interface LabLeases {
  readonly durationMs: number;
  /** After which a node counts as silent. */
  readonly silentMs: number;
}

/**
 * @param registry the section that says where the registry is
 * @param leases undefined for the programs' own
 */
export async function writeControllerConfig(
  layout: LabLayout,
  registry: object,
  options: LabOptions,
  leases: LabLeases | undefined,
): Promise<void> {
  const { coordination, drainMs } = options;
  await writeConfig(layout.controllerConfig, {
    schemaVersion: 1,
    name: "controller-1",
    stateDir: layout.controllerStateDir,
    registry,
    coordination,
    rotation: { duration: rotationDurationMs, drain: drainMs, retireDeadline: retireDeadlineMs },
    preflight: {
      jitterMax: options.jitter === "off" ? 0 : labJitterMaxMs,
      jitterMinNodes: 2,
      keyDistribution: 0,
    },
    ...(leases === undefined ? {} : { lease: { duration: leases.durationMs }, stragglers: { silentAfter: leases.silentMs } }),
    metrics: metricsAt(layout.controllerStatusSocket, options),
  });
}

/**
 * @param registry the section that says where the registry is
 * @param sections what its dataplane says of itself
 * @param leases undefined for the programs' own
 */
export async function writeAgentConfig(
  node: NodeLayout,
  registry: object,
  name: string,
  sections: DataplaneSections,
  options: LabOptions,
  leases: LabLeases | undefined,
): Promise<void> {
  const { coordination, drainMs, jitter } = options;
  await writeConfig(node.config, {
    schemaVersion: 1,
    node: { name, ...sections.node },
    stateDir: node.stateDir,
    registry,
    coordination,
    keyFile: { path: node.keyFile },
    dataplane: sections.dataplane,
    jitter: {
      enabled: jitter !== "off",
      mode: jitter === "slotted" ? "slotted" : "uniform",
      max: labJitterMaxMs,
      minNodes: 2,
    },
    rotation: { duration: rotationDurationMs, drain: drainMs, retireDeadline: retireDeadlineMs },
    ...(leases === undefined ? {} : { lease: { duration: leases.durationMs } }),
    metrics: metricsAt(node.statusSocket, options),
  });
}

/**
 * Only a lab that is kept is looked at; serving costs each program a tenth of a second at its
 * start.
 */
function metricsAt(socket: string, options: LabOptions): object {
  return options.keep ? { listen: socket } : { enabled: false };
}

async function writeConfig(path: string, config: object): Promise<void> {
  await writeFile(path, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}
