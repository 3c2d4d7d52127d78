/** What passed the SAs of each fleet key: two series for each key in use, however many peers there are. */
import type { AgentStatus, KeyUse } from "../status.js";
import { secondsAt, type MetricRow, type Sample } from "./series.js";

const labels = ["key_id", "direction"] as const;

export const keyMetricRows: readonly MetricRow<AgentStatus>[] = [
  {
    kind: "counter",
    name: "spindle_key_packets_total",
    help: "Packets that passed the security associations of a key, as dumps of the dataplane saw them grow.",
    labels,
    read: (status) => perKey(status, ({ packets }) => packets),
  },
  {
    kind: "counter",
    name: "spindle_key_bytes_total",
    help: "Bytes of these packets, as the dataplane counts them.",
    labels,
    read: (status) => perKey(status, ({ bytes }) => bytes),
  },
  {
    kind: "gauge",
    name: "spindle_key_last_used_timestamp_seconds",
    help: "Unix time of the last packet that passed a security association of a key.",
    labels,
    read: (status, wallMs) => perKey(status, ({ idleMs }) => (idleMs === null ? null : secondsAt(wallMs, idleMs))),
  },
  {
    kind: "gauge",
    name: "spindle_key_sequence_highest",
    help: "Highest sequence number of the security associations of a key.",
    labels,
    read: (status) => perKey(status, ({ highestSequence }) => highestSequence),
  },
  {
    kind: "gauge",
    name: "spindle_key_sequence_used_ratio",
    help: "Largest share of its sequence numbers that a security association of a key has used, 0 to 1.",
    labels,
    read: (status) => perKey(status, ({ sequenceShare }) => sequenceShare),
  },
];

function perKey({ keyUse }: AgentStatus, valueOf: (use: KeyUse) => number | null): readonly Sample[] {
  return keyUse.flatMap((use) => {
    const value = valueOf(use);
    return value === null ? [] : [{ labels: { key_id: `${use.keyId}`, direction: use.direction }, value }];
  });
}
