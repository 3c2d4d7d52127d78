/** The controller's metrics (docs/reference/metrics.md), all read from its status. */
import type { FleetPhase } from "../../core/fleet/record.js";
import type { ControllerStatus } from "../status.js";
import {
  coordinations,
  makeMetrics,
  oneOf,
  perEntry,
  secondsAt,
  single,
  type MetricRow,
  type Metrics,
} from "./series.js";

export function makeControllerMetrics(status: () => ControllerStatus): Metrics {
  return makeMetrics(status().coordination === "barrier" ? controllerMetricRows : programMetricRows, status);
}

/** Of what a controller decides upon: in pairwise coordination it sees no fleet, and zeros would be claims. */
const fleetMetricRows: readonly MetricRow<ControllerStatus>[] = [
  {
    kind: "gauge",
    name: "spindle_fleet_phase",
    help: "1 for the phase the fleet is in, 0 for the others.",
    labels: ["phase"],
    read: (status) => oneOf("phase", Object.keys(fleetPhases), status.phase),
  },
  {
    kind: "gauge",
    name: "spindle_fleet_phase_entered_timestamp_seconds",
    help: "Unix time at which the present phase was entered.",
    labels: [],
    read: (status, wallMs) => single(secondsAt(wallMs, status.phaseForMs)),
  },
  {
    kind: "gauge",
    name: "spindle_fleet_key_id",
    help: "Key id of the fleet's current and target key; no series when there is none.",
    labels: ["slot"],
    read: ({ current, target }) =>
      perEntry("slot", { current: current?.keyId ?? null, target: target?.keyId ?? null }),
  },
  {
    kind: "counter",
    name: "spindle_fleet_rotations_total",
    help: "Rotations started in the life of the fleet.",
    labels: [],
    read: (status) => single(status.rotation),
  },
  {
    kind: "gauge",
    name: "spindle_fleet_nodes",
    help: "Nodes on the roster.",
    labels: [],
    read: (status) => single(status.nodes),
  },
  {
    kind: "gauge",
    name: "spindle_fleet_excluded",
    help: "Silent nodes that do not count until they have restaged.",
    labels: [],
    read: (status) => single(status.excluded.length),
  },
  {
    kind: "gauge",
    name: "spindle_fleet_stragglers",
    help: "Nodes that the rotation waits for.",
    labels: [],
    read: (status) => single(status.stragglers.length),
  },
  {
    kind: "gauge",
    name: "spindle_fleet_conditions",
    help: "What holds the fleet up and needs a person or a delay.",
    labels: [],
    read: (status) => single(status.conditions.length),
  },
  {
    kind: "gauge",
    name: "spindle_leader",
    help: "1 on the controller that leads.",
    labels: [],
    read: (status) => single(status.leading ? 1 : 0),
  },
  {
    kind: "gauge",
    name: "spindle_registry_connected",
    help: "1 while the registry answers.",
    labels: [],
    read: (status) => single(status.registry.connected ? 1 : 0),
  },
];

const programMetricRows: readonly MetricRow<ControllerStatus>[] = [
  {
    kind: "gauge",
    name: "spindle_coordination",
    help: "1 for how the fleet is coordinated, 0 for the other way.",
    labels: ["coordination"],
    read: (status) => oneOf("coordination", coordinations, status.coordination),
  },
  {
    kind: "counter",
    name: "spindle_registry_writes_total",
    help: "Writes to the registry, by what was written; lease renewals apart.",
    labels: ["class"],
    read: (status) => perEntry("class", status.registryWrites),
  },
  {
    kind: "gauge",
    name: "spindle_build_info",
    help: "1, with the version of the program.",
    labels: ["version"],
    read: (status) => [{ labels: { version: status.version }, value: 1 }],
  },
];

export const controllerMetricRows: readonly MetricRow<ControllerStatus>[] = [...fleetMetricRows, ...programMetricRows];

/** A record, so that a new phase fails to compile until it is here. */
const fleetPhases: Readonly<Record<FleetPhase, true>> = {
  steady: true,
  staging: true,
  staged: true,
  draining: true,
  aborting: true,
};
