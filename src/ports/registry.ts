/**
 * The shared store of a fleet. One contract suite (test/contract/registry.ts) is run by every adapter.
 * Who may watch what decides the load: agents watch the roster and, by coordination, the fleet record (barrier) or the
 * reports (pairwise). Nobody but the controller looks at leases.
 */
import type { FleetRecord, OperatorRequest, RotationRecord } from "../core/fleet/record.js";
import type { IncarnationId, NodeAddresses, NodeName, RosterEntry, RosterRevision } from "../core/node.js";
import type { Report } from "../core/report.js";
import type { Done, Stop } from "./failure.js";

export interface RegisterRequest {
  readonly name: NodeName;
  readonly incarnationId: IncarnationId;
  readonly addresses: NodeAddresses;
}

/**
 * A watch begins with a `listing` and sends another whenever its history has a gap, so that a lost event is never a
 * lost fact. Between listings changes come in commit order. `disconnected` says that the view may be old; the first
 * listing after it says that it is current again. `unreadable` names records that are there and that this version cannot
 * read: they are missing from `items` unless read before, and must not be taken for removed.
 */
export type WatchEvent<T> =
  | {
      readonly kind: "listing";
      readonly revision: number;
      readonly items: readonly T[];
      readonly unreadable?: readonly string[];
    }
  | { readonly kind: "put"; readonly revision: number; readonly item: T }
  | { readonly kind: "removed"; readonly revision: number; readonly name: string }
  | { readonly kind: "disconnected"; readonly reason: string };

/** A single object with the version that compare-and-set needs; version 0 with null means that it is absent. */
export interface Versioned<T> {
  readonly version: number;
  readonly value: T | null;
}

export type SingleEvent<T> =
  | { readonly kind: "value"; readonly object: Versioned<T> }
  | { readonly kind: "disconnected"; readonly reason: string };

export interface LeaseView {
  readonly name: NodeName;
  readonly incarnationId: IncarnationId;
  /**
   * Changes with each renewal, and maybe while the lease has not ended: it may lag by one lease. A lease that ended is
   * not listed.
   */
  readonly beat: number;
}

export interface RegistryPort {
  /**
   * Admits the node or updates its entry. Idempotent: the same request leaves the entry and its revision as they are.
   * A changed incarnation, address or network gives a new revision and, for a new incarnation, a new number. Codes:
   * `ROSTER_NO_FREE_INDEX`, `ROSTER_NO_FREE_INCARNATION` until the next rotation; `ROSTER_CIDR_TAKEN` while another node has
   * one of the networks, or a part of it.
   */
  register(request: RegisterRequest, done: Done<RosterEntry>): void;
  /** Takes a node off the roster, with its report. Removing the absent succeeds. */
  remove(name: NodeName, done: Done<RosterRevision>): void;
  /** `revision` of the events is the roster revision. */
  watchRoster(listener: (event: WatchEvent<RosterEntry>) => void): Stop;

  /** `REGISTRY_NOT_ADMITTED` while the node is not on the roster. */
  publishReport(report: Report, done: Done<null>): void;
  watchReports(listener: (event: WatchEvent<Report>) => void): Stop;

  /** Compare-and-set; `REGISTRY_CONFLICT` when the version is not the one stored. Returns the new version. */
  writeFleet(record: FleetRecord, expectedVersion: number, done: Done<number>): void;
  watchFleet(listener: (event: SingleEvent<FleetRecord>) => void): Stop;

  /** One pending request at a time: `REGISTRY_CONFLICT` while another waits. */
  putRequest(request: OperatorRequest, done: Done<null>): void;
  clearRequest(id: string, done: Done<null>): void;
  watchRequest(listener: (event: SingleEvent<OperatorRequest>) => void): Stop;

  putRotation(record: RotationRecord, done: Done<null>): void;
  /** Newest first. */
  listRotations(done: Done<readonly RotationRecord[]>): void;

  /** Renews the node's lease now; the caller does so again at least every third of `leaseMs`. */
  renewLease(name: NodeName, incarnationId: IncarnationId, leaseMs: number, done: Done<null>): void;
  listLeases(done: Done<readonly LeaseView[]>): void;

  /** Runs for leader until stopped. `leading` is called with each change, first with false unless elected at once. */
  campaign(candidate: string, leaseMs: number, leading: (isLeader: boolean) => void): Stop;
  close(): void;
}
