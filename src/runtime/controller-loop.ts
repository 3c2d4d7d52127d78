/**
 * The one loop of a controller: watches roster, reports, fleet record and requests, feeds the step, runs its effects.
 * Decisions are spaced by `limits.controllerSpacingMs`, so that a thousand reports in a burst cost a few steps.
 */
import { limits } from "../core/limits.js";
import type { NodeName, RosterEntry, RosterRevision } from "../core/node.js";
import type { Report } from "../core/report.js";
import { emptyRoster, type Roster } from "../core/roster.js";
import {
  newController,
  type ControllerEffect,
  type ControllerObservation,
  type ControllerOptions,
  type ControllerState,
  type ObservedLease,
} from "../core/fleet/controller-state.js";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../core/fleet/record.js";
import { stepController } from "../core/fleet/step.js";
import type { Clock } from "../ports/clock.js";
import type { PortFailure, Stop } from "../ports/failure.js";
import type { Log } from "../ports/log.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../ports/registry.js";
import { logControllerNote } from "./notes.js";

export interface ControllerPorts {
  readonly clock: Clock;
  readonly registry: RegistryPort;
  readonly log: Log;
}

export interface ControllerLoopOptions extends ControllerOptions {
  readonly leaseMs: number;
}

export type StepController = typeof stepController;

export class ControllerLoop {
  readonly #options: ControllerLoopOptions;
  readonly #ports: ControllerPorts;
  readonly #step: StepController;
  readonly #stops: Stop[] = [];
  readonly #entries = new Map<NodeName, RosterEntry>();
  readonly #reports = new Map<NodeName, Report>();
  readonly #inFlight = new Set<ControllerEffect["kind"]>();
  #leases: ReadonlyMap<NodeName, ObservedLease> = new Map();
  #roster: Roster = { ...emptyRoster, entries: this.#entries };
  #hasReports = false;
  #fleet: { readonly version: number; readonly record: FleetRecord | null } | null = null;
  #request: OperatorRequest | null = null;
  #audit: RotationRecord | null | undefined = undefined;
  #leading = false;
  #watchingSinceMs: number | null = null;
  #state: ControllerState = newController;
  #isTurnQueued = false;
  #isStopped = false;
  #lastTurnMs = 0;
  #cancelWake: Stop | null = null;
  #cancelLeases: Stop | null = null;

  constructor(options: ControllerLoopOptions, ports: ControllerPorts, step: StepController = stepController) {
    this.#options = options;
    this.#ports = ports;
    this.#step = step;
  }

  start(): void {
    const { registry } = this.#ports;
    this.#stops.push(registry.watchRoster((event) => this.#seeRoster(event)));
    this.#stops.push(registry.watchReports((event) => this.#seeReports(event)));
    this.#stops.push(registry.watchFleet((event) => this.#seeFleet(event)));
    this.#stops.push(registry.watchRequest((event) => this.#seeRequest(event)));
    this.#stops.push(registry.campaign(this.#options.name, this.#options.leaseMs, (leads) => this.#lead(leads)));
    this.#listLeases();
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWake?.();
    this.#cancelLeases?.();
    for (const stop of this.#stops) stop();
  }

  inspect(): ControllerView {
    return {
      leading: this.#leading,
      record: this.#fleet?.record ?? null,
      roster: this.#roster,
      reports: this.#reports,
      state: this.#state,
      observation: this.#observe(),
    };
  }

  #lead(leads: boolean): void {
    if (leads === this.#leading) return;
    this.#leading = leads;
    this.#ports.log.write("info", leads ? "leading" : "not leading", { name: this.#options.name });
    this.#state = { ...newController, beats: this.#state.beats };
    this.#watchAgain();
    if (leads) this.#readAudit();
  }

  /** Silence is counted from here: before this moment the process could not see who is alive. */
  #watchAgain(): void {
    const sees = this.#leading && this.#roster.complete && this.#hasReports;
    this.#watchingSinceMs = sees ? this.#ports.clock.nowMs() : null;
    this.#queueTurn();
  }

  #readAudit(): void {
    this.#audit = undefined;
    this.#ports.registry.listRotations((result) => {
      if (result.ok) this.#audit = result.value[0] ?? null;
      else this.#later(() => this.#readAudit(), result.error, "list-rotations");
      this.#queueTurn();
    });
  }

  #seeRoster(event: WatchEvent<RosterEntry>): void {
    if (event.kind === "disconnected") return this.#lose();
    if (event.kind === "listing") this.#entries.clear();
    if (event.kind === "listing") for (const entry of event.items) this.#entries.set(entry.name, entry);
    if (event.kind === "put") this.#entries.set(event.item.name, event.item);
    if (event.kind === "removed") this.#entries.delete(event.name as NodeName);
    const complete = this.#roster.complete || event.kind === "listing";
    this.#roster = { ...this.#roster, complete, revision: event.revision as RosterRevision };
    if (event.kind === "listing") this.#watchAgain();
    else this.#queueTurn();
  }

  #seeReports(event: WatchEvent<Report>): void {
    if (event.kind === "disconnected") return this.#lose();
    if (event.kind === "listing") this.#reports.clear();
    if (event.kind === "listing") for (const report of event.items) this.#reports.set(report.node, report);
    if (event.kind === "put") this.#reports.set(event.item.node, event.item);
    if (event.kind === "removed") this.#reports.delete(event.name as NodeName);
    this.#hasReports ||= event.kind === "listing";
    if (event.kind === "listing") this.#watchAgain();
    else this.#queueTurn();
  }

  /** Until both listings came again nothing is decided. */
  #lose(): void {
    this.#roster = { ...this.#roster, complete: false };
    this.#hasReports = false;
    this.#watchingSinceMs = null;
  }

  #seeFleet(event: SingleEvent<FleetRecord>): void {
    if (event.kind === "disconnected") return;
    const before = this.#fleet?.record?.phase;
    this.#fleet = { version: event.object.version, record: event.object.value };
    const record = event.object.value;
    if (record !== null && record.phase !== before) {
      const { rotation, phase, target } = record;
      logControllerNote(this.#ports.log, { kind: "fleet-phase", rotation, phase, target });
    }
    this.#queueTurn();
  }

  #seeRequest(event: SingleEvent<OperatorRequest>): void {
    if (event.kind === "disconnected") return;
    this.#request = event.object.value;
    this.#queueTurn();
  }

  #listLeases(): void {
    if (this.#isStopped) return;
    const { clock, registry } = this.#ports;
    this.#cancelLeases = clock.setTimer(clock.nowMs() + this.#options.leaseMs / 3, () => this.#listLeases());
    if (!this.#leading) return;
    registry.listLeases((result) => {
      if (!result.ok) return this.#watchAgain();
      this.#leases = new Map(result.value.map((lease) => [lease.name, lease] as const));
      this.#queueTurn();
    });
  }

  #queueTurn(): void {
    if (this.#isTurnQueued || this.#isStopped) return;
    this.#isTurnQueued = true;
    const { clock } = this.#ports;
    const run = (): void => {
      this.#isTurnQueued = false;
      if (!this.#isStopped) this.#turn();
    };
    const earliestMs = this.#lastTurnMs + limits.controllerSpacingMs;
    if (clock.nowMs() >= earliestMs) clock.defer(run);
    else clock.setTimer(earliestMs, run);
  }

  #observe(): ControllerObservation {
    return {
      leading: this.#leading,
      watchingSinceMs: this.#watchingSinceMs,
      roster: this.#roster,
      reports: this.#reports,
      leases: this.#leases,
      fleet: this.#fleet,
      request: this.#request,
      audit: this.#audit,
      inFlight: this.#inFlight,
      wallAt: this.#ports.clock.wallAt(),
    };
  }

  #turn(): void {
    const { clock, log } = this.#ports;
    const nowMs = clock.nowMs();
    this.#lastTurnMs = nowMs;
    const result = this.#step(this.#state, this.#observe(), nowMs, this.#options);
    this.#state = result.state;
    for (const note of result.notes) logControllerNote(log, note);
    for (const effect of result.effects) this.#run(effect);
    this.#cancelWake?.();
    if (result.wakeAtMs !== null) this.#cancelWake = clock.setTimer(result.wakeAtMs, () => this.#queueTurn());
  }

  #run(effect: ControllerEffect): void {
    const { registry } = this.#ports;
    this.#inFlight.add(effect.kind);
    const done = (result: { readonly ok: true } | { readonly ok: false; readonly error: PortFailure }): void => {
      if (result.ok) this.#finish(effect);
      else this.#later(() => this.#finish(effect), result.error, effect.kind);
    };
    switch (effect.kind) {
      case "write-fleet":
        return registry.writeFleet(effect.record, effect.expectedVersion, (result) => {
          if (result.ok) this.#seeOwnWrite(effect.record, result.value);
          done(result);
        });
      case "put-rotation":
        return registry.putRotation(effect.rotation, (result) => {
          if (result.ok) this.#audit = effect.rotation;
          done(result);
        });
      case "clear-request":
        return registry.clearRequest(effect.requestId, done);
    }
  }

  /** The watch brings the same value; seeing it now keeps a step in between from writing it again. */
  #seeOwnWrite(record: FleetRecord, version: number): void {
    if (this.#fleet !== null && this.#fleet.version >= version) return;
    this.#seeFleet({ kind: "value", object: { version, value: record } });
  }

  #finish(effect: ControllerEffect): void {
    this.#inFlight.delete(effect.kind);
    this.#queueTurn();
  }

  #later(again: () => void, failure: PortFailure, what: string): void {
    const { clock, log } = this.#ports;
    const level = failure.code === "REGISTRY_CONFLICT" ? "debug" : "warn";
    log.write(level, "retrying", { effect: what, code: failure.code, why: failure.message });
    clock.setTimer(clock.nowMs() + limits.retryMsMin, again);
  }
}

export interface ControllerView {
  readonly leading: boolean;
  readonly record: FleetRecord | null;
  readonly roster: Roster;
  readonly reports: ReadonlyMap<NodeName, Report>;
  readonly state: ControllerState;
  readonly observation: ControllerObservation;
}
