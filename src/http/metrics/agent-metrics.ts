/** The agent's metrics (docs/reference/metrics.md), all read from its status. */
import { agentPhases } from "../../core/rotation/state.js";
import { xfrmCounters, type XfrmCounterName, type XfrmCounters } from "../../core/xfrm-counters.js";
import type { AgentStatus } from "../status.js";
import { keyMetricRows } from "./key-metrics.js";
import {
  coordinations,
  makeMetrics,
  oneOf,
  perEntry,
  secondsAt,
  single,
  type MetricRow,
  type Metrics,
  type Sample,
} from "./series.js";

export function makeAgentMetrics(status: () => AgentStatus): Metrics {
  return makeMetrics(agentMetricRows, status);
}

export const agentMetricRows: readonly MetricRow<AgentStatus>[] = [
  {
    kind: "counter",
    name: "spindle_xfrm_errors_total",
    help: "Packets dropped by IPsec, by the kernel's reason (/proc/net/xfrm_stat).",
    labels: ["type", "error"],
    read: (status) => xfrmErrors(status.counters),
  },
  {
    kind: "counter",
    name: "spindle_xfrm_stat_total",
    help: "The same by the kernel's own names, with those that this version does not know.",
    labels: ["reason"],
    read: (status) => perEntry("reason", { ...noXfrmErrors, ...status.counters }),
  },
  ...keyMetricRows,
  {
    kind: "gauge",
    name: "spindle_sas",
    help: "Security associations of ours in the dataplane.",
    labels: ["direction"],
    read: (status) => perEntry("direction", { ...status.sas }),
  },
  {
    kind: "gauge",
    name: "spindle_policies",
    help: "Policies of ours in the dataplane.",
    labels: ["direction"],
    read: (status) => perEntry("direction", { ...status.policies }),
  },
  {
    kind: "gauge",
    name: "spindle_keys_in_use",
    help: "Distinct fleet keys among the security associations: 1, and 2 during a rotation.",
    labels: [],
    read: (status) => single(status.keysInUse),
  },
  {
    kind: "gauge",
    name: "spindle_rotation_phase",
    help: "1 for the phase this node is in, 0 for the others.",
    labels: ["phase"],
    read: (status) => oneOf("phase", agentPhases, status.phase),
  },
  {
    kind: "gauge",
    name: "spindle_coordination",
    help: "1 for how the fleet is coordinated, 0 for the other way.",
    labels: ["coordination"],
    read: (status) => oneOf("coordination", coordinations, status.coordination),
  },
  {
    kind: "gauge",
    name: "spindle_phase_entered_timestamp_seconds",
    help: "Unix time at which the present phase was entered.",
    labels: [],
    read: (status, wallMs) => single(secondsAt(wallMs, status.phaseForMs)),
  },
  {
    kind: "gauge",
    name: "spindle_key_id",
    help: "Key id in each slot; no series for an empty slot.",
    labels: ["slot"],
    read: ({ keys }) => perEntry("slot", slotKeyIds(keys)),
  },
  {
    kind: "gauge",
    name: "spindle_peers",
    help: "Peers on the roster.",
    labels: [],
    read: (status) => single(status.peers.total),
  },
  {
    kind: "gauge",
    name: "spindle_peers_behind",
    help: "Peers that this node still sends to with an older key.",
    labels: [],
    read: (status) => single(status.peers.behind),
  },
  {
    kind: "gauge",
    name: "spindle_peers_blocked",
    help: "Peers that this node sends nothing to, because no common key is proven.",
    labels: [],
    read: (status) => single(status.peers.blocked),
  },
  {
    kind: "gauge",
    name: "spindle_peers_plain",
    help: "Peers that this node sends plain packets to, as the policy level allows.",
    labels: [],
    read: (status) => single(status.peers.plain),
  },
  {
    kind: "gauge",
    name: "spindle_peers_unproven",
    help: "Peers that this node keeps on an older key, or plain, because no probe with the next one was answered.",
    labels: [],
    read: (status) => single(status.peers.unproven),
  },
  {
    kind: "gauge",
    name: "spindle_checkpoint_written_timestamp_seconds",
    help: "Unix time at which the node checkpoint was last written.",
    labels: [],
    read: ({ checkpointAgeMs }, wallMs) =>
      single(checkpointAgeMs === null ? null : secondsAt(wallMs, checkpointAgeMs)),
  },
  {
    kind: "gauge",
    name: "spindle_sequence_highest",
    help: "Highest sequence number of any security association.",
    labels: [],
    read: (status) => single(status.highestSequence),
  },
  {
    kind: "counter",
    name: "spindle_forced_retires_total",
    help: "Keys deleted at the deadline without evidence that nobody sends with them.",
    labels: [],
    read: (status) => single(status.forcedRetires),
  },
  {
    kind: "gauge",
    name: "spindle_stage_duration_seconds",
    help: "How long the last staging took, from the first install to the read-back of all.",
    labels: [],
    read: ({ lastStage }) => single(lastStage === null ? null : lastStage.stagingMs / 1_000),
  },
  {
    kind: "gauge",
    name: "spindle_registry_connected",
    help: "1 while the registry answers.",
    labels: [],
    read: (status) => single(status.registry.connected ? 1 : 0),
  },
  {
    kind: "gauge",
    name: "spindle_dataplane_connected",
    help: "1 while the dataplane answers.",
    labels: [],
    read: (status) => single(status.dataplane.connected ? 1 : 0),
  },
  {
    kind: "gauge",
    name: "spindle_key_file_valid",
    help: "1 when the key file was last read without an error.",
    labels: [],
    read: (status) => single(status.keyFile.ok ? 1 : 0),
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

const noXfrmErrors = Object.fromEntries(Object.keys(xfrmCounters).map((name) => [name, 0]));

/**
 * All series, also those that the dataplane does not keep: an alert rule must not depend on a first
 * error.
 */
function xfrmErrors(counters: XfrmCounters): readonly Sample[] {
  return Object.entries(xfrmCounters).map(([name, [type, error]]) => ({
    labels: { type, error },
    value: counters[name as XfrmCounterName] ?? 0,
  }));
}

function slotKeyIds(keys: AgentStatus["keys"]): Readonly<Record<string, number | null>> {
  return {
    previous: keys.previous?.keyId ?? null,
    current: keys.current?.keyId ?? null,
    next: keys.next?.keyId ?? null,
  };
}
