/**
 * What an agent must still know after kill -9: written before it is acted upon. Two documents: `state.json` (this
 * node) and `nodes.json` (the roster checkpoint, design 4.5).
 */
import type { FleetRecord } from "../fleet/record.js";
import { sameKey, type KeyIdentity } from "../key-id.js";
import type { IncarnationId, NodeAddresses, RosterEntry } from "../node.js";
import type { RetiredKey } from "../report.js";
import type { NodeIndex } from "../spi.js";
import type { DataplaneIdentity } from "./observation.js";

export interface DurableState {
  readonly schemaVersion: 1;
  /** One lifetime of the outbound state, null before the first. */
  readonly incarnation: Incarnation | null;
  /** Pairwise: the key everyone is known to use; null before the first rotation from "no key" ended. */
  readonly current: KeyIdentity | null;
  /** Pairwise: the key being rotated to. */
  readonly next: KeyIdentity | null;
  /** The `next` whose staging began: a restart does not wait again, nor take back what it reported. */
  readonly staging: KeyIdentity | null;
  /** Retired here: never installed again. */
  readonly retired: KeyIdentity | null;
  /** Our word: never sent with again in this turn of the ring. */
  readonly refused: readonly KeyIdentity[];
  /** Reported as the only key this node sends with: no older key is taken up again. */
  readonly sendFloor: KeyIdentity | null;
  /** Barrier: the newest fleet record acted upon. An older reading (a lagging replica) is ignored. */
  readonly fleet: { readonly version: number; readonly record: FleetRecord } | null;
  /** The last key this node retired, and how: for its report. */
  readonly lastRetired: RetiredKey | null;
  /** When the old key goes without evidence. Valid for one boot, on its monotonic clock. */
  readonly deadline: Deadline | null;
}

export interface Incarnation {
  readonly id: IncarnationId;
  readonly dataplane: DataplaneIdentity;
  readonly addresses: NodeAddresses;
  /** Nothing of an earlier life can be sent any more; only then the registry hears of this one. */
  readonly cleared: boolean;
}

export interface Deadline {
  /** The key that must be gone. */
  readonly key: KeyIdentity;
  readonly bootId: string;
  readonly dueMs: number;
  /** The full length; counted anew when the machine booted since, as its clock then began anew. */
  readonly remainingMs: number;
  /** Set for a compromised key. */
  readonly emergency: boolean;
}

export const noDurableState: DurableState = {
  schemaVersion: 1,
  incarnation: null,
  current: null,
  next: null,
  staging: null,
  retired: null,
  refused: [],
  sendFloor: null,
  fleet: null,
  lastRetired: null,
  deadline: null,
};

/**
 * A node we have, or once had, state for. It stays here until its deletion has been applied, so a crash loses nothing.
 */
export interface CheckpointNode {
  readonly entry: RosterEntry;
  /** Our own life for which `sentWith` holds. */
  readonly selfIncarnationId: IncarnationId;
  readonly selfIndex: NodeIndex;
  /**
   * Keys whose outbound SA towards this entry was read back, retired ones too: a key that comes back must not start its
   * counter again (S4). Recorded before a policy may select it; the last `limits.sentKeysMax` are kept.
   */
  readonly sentWith: readonly KeyIdentity[];
}

/** Does `record` speak of the present lives of both ends? Any other index or incarnation means other derived keys. */
export function isOfSameLives(self: RosterEntry, peer: RosterEntry, record: CheckpointNode): boolean {
  return (
    (record.entry === peer || isSameLife(record.entry, peer)) &&
    record.selfIncarnationId === self.incarnationId &&
    record.selfIndex === self.index
  );
}

function isSameLife(one: RosterEntry, other: RosterEntry): boolean {
  const { incarnationId, incarnationNumber, index } = other;
  return one.incarnationId === incarnationId && one.incarnationNumber === incarnationNumber && one.index === index;
}

/** Keys that should be in the kernel if they were ever sent with: what is retired or purged is rightly gone. */
export function expectedKeys(durable: DurableState): readonly KeyIdentity[] {
  const record = durable.fleet?.record;
  const target = record?.phase === "aborting" && record.purge ? null : (record?.target ?? null);
  return [durable.current, durable.next, record?.current ?? null, target]
    .filter((key) => key !== null)
    .filter((key) => !sameKey(key, durable.retired));
}
