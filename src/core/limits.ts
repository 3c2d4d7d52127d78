/**
 * Every bound of Spindle in one place, with the relations between them asserted at load.
 * Durations are milliseconds, sizes are bytes unless the name says otherwise.
 */
import { assert } from "./assert.js";

export const limits = {
  /** 20 bits of the SPI. */
  nodeIndexMax: 0xf_ffff,
  /** 4 bits of the SPI. */
  incarnationNumberMax: 15,
  /** Real full mesh is claimed up to here. */
  peersMax: 10_000,
  nodeNameLengthMax: 253,
  keyFileBytesMax: 16_384,
  keyFileLinesMax: 64,
  checkpointBytesMax: 64 * 1024 * 1024,
  recordBytesMax: 1024 * 1024,
  /** Peers whose operations travel in one plan: keeps a turn short (libraries.md, netlink). */
  peersPerPlanMax: 128,
  retryMsMin: 250,
  retryMsMax: 30_000,
  resyncMs: 60_000,
  drainMsMin: 100,
  drainMsDefault: 3_000,
  rotationDurationMsDefault: 300_000,
  stageDeadlineMsDefault: 600_000,
  retireDeadlineMsDefault: 600_000,
  /** A compromised key is out this long after an agent first saw the order. */
  emergencyDeadlineMsDefault: 30_000,
  silentMsDefault: 30_000,
  leaseMsDefault: 10_000,
  reportIntervalMsDefault: 1_000,
  /** Jitter is off below this many nodes. */
  jitterMinNodesDefault: 50,
  /** Share of the counted nodes that may be excluded as silent; at least one node. */
  excludeShareMaxDefault: 0.1,
  /** A listing that would delete more than this share of the known nodes is held. */
  massDeletionShareDefault: 0.5,
  readyShareDefault: 0.95,
  rotationHistoryMax: 100,
  /** Packet records kept per node by the lab for per-packet accounting. */
  labPacketRecordsMax: 2_000_000,
} as const;

assert(limits.retryMsMin < limits.retryMsMax, "retry limits are ordered");
assert(limits.leaseMsDefault < limits.silentMsDefault, "a lease ends before its node counts as silent");
assert(limits.drainMsMin <= limits.drainMsDefault, "drain limits are ordered");
assert(limits.drainMsDefault < limits.retireDeadlineMsDefault, "a drain fits before the deadline");
assert(limits.stageDeadlineMsDefault > limits.rotationDurationMsDefault, "staging outlasts jitter");
