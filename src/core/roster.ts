/**
 * The roster as one agent or controller knows it: admitted nodes and the revision of the last change applied.
 * `complete` is false until the registry has sent a whole listing; before that nobody may be called departed.
 */
import type { NodeName, RosterEntry, RosterRevision } from "./node.js";

export interface Roster {
  readonly complete: boolean;
  readonly revision: RosterRevision;
  readonly entries: ReadonlyMap<NodeName, RosterEntry>;
  /** Entries that are there and that this version cannot read: nobody is called departed while there are any. */
  readonly unreadable: ReadonlySet<NodeName>;
}

export const emptyRoster: Roster = { complete: false, revision: 0 as RosterRevision, entries: new Map(), unreadable: new Set() };
