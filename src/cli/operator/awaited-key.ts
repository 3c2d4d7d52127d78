/**
 * A key that an operator has distributed, as the fleet record tells of it. Other rotations may run before the one to this
 * key, or be run instead of it: neither is taken for it.
 */
import type { FleetRecord } from "../../core/fleet/record.js";
import { isNewer, type KeyId, type KeyRing } from "../../core/key-id.js";

export interface AwaitedKey {
  readonly keyId: KeyId;
  readonly ring: KeyRing;
  /** The fleet's count of rotations when the key was distributed. */
  readonly before: number;
}

/**
 * - offered: no rotation to it yet
 * - between: another rotation runs first
 * - running: the rotation to it, or its abort
 * - done, aborted: that ended with it, or without
 * - replaced: the fleet runs a newer key, and will not go back to this one
 */
export type KeyStanding = "offered" | "between" | "running" | "done" | "aborted" | "replaced";

export function keyStanding(record: FleetRecord | null, { keyId, ring, before }: AwaitedKey): KeyStanding {
  if (record === null || record.rotation <= before) return "offered";
  const { current, target } = record;
  if (current?.keyId === keyId) return "done";
  if (target?.keyId === keyId) return "running";
  if (current !== null && isNewer(current.keyId, keyId, ring)) return "replaced";
  if (record.refused.some((key) => key.keyId === keyId)) return "aborted";
  return record.phase === "steady" ? "offered" : "between";
}
