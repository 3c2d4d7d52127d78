/** What a backup of the simulated registry holds: its records, and how far its counters are. */
import type { FleetRecord, RotationRecord } from "../../core/fleet/record.js";
import type { NodeName, RosterEntry } from "../../core/node.js";
import type { Report } from "../../core/report.js";

export interface RegistryCopy {
  readonly entries: ReadonlyMap<NodeName, RosterEntry>;
  readonly reports: ReadonlyMap<NodeName, Report>;
  readonly rotations: ReadonlyMap<number, RotationRecord>;
  readonly revision: number;
  readonly rosterRevision: number;
  readonly nextIndex: number;
  readonly fleet: { readonly version: number; readonly value: FleetRecord | null };
}

export function replaceAll<K, V>(map: Map<K, V>, by: ReadonlyMap<K, V> | undefined): void {
  map.clear();
  for (const [key, value] of by ?? []) map.set(key, value);
}
