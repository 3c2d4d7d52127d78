/**
 * What a controller is without its ports: what it knows, its state, and the step between them. As with `AgentMachine`,
 * the same inputs and turns give the same effects, whoever feeds them.
 */
import { assert } from "../core/assert.js";
import {
  newController,
  type ControllerEffect,
  type ControllerObservation,
  type ControllerOptions,
  type ControllerState,
  type ControllerStep,
  type KeyWrite,
  type ObservedLease,
} from "../core/fleet/controller-state.js";
import type { FleetRecord, OperatorRequest, RotationRecord } from "../core/fleet/record.js";
import { stepController } from "../core/fleet/step.js";
import type { NodeName, RosterEntry, RosterRevision } from "../core/node.js";
import type { Report } from "../core/report.js";
import { emptyRoster, type Roster } from "../core/roster.js";
import type { LeaseView, SingleEvent, WatchEvent } from "../ports/registry.js";
import type { ControllerEffectEnd, ControllerEffectKind, ControllerInput } from "./controller-input.js";

export type StepController = typeof stepController;

type EffectOf<K extends ControllerEffectKind> = Extract<ControllerEffect, { kind: K }>;

export class ControllerMachine {
  readonly #options: ControllerOptions;
  readonly #step: StepController;
  readonly #entries = new Map<NodeName, RosterEntry>();
  readonly #reports = new Map<NodeName, Report>();
  readonly #underWay = new Map<ControllerEffectKind, ControllerEffect>();
  #leases: ReadonlyMap<NodeName, ObservedLease> = new Map();
  #roster: Roster = { ...emptyRoster, entries: this.#entries };
  #hasReports = false;
  #fleet: { readonly version: number; readonly record: FleetRecord | null } | null = null;
  #request: OperatorRequest | null = null;
  #audit: RotationRecord | null | undefined = undefined;
  #keyWrite: KeyWrite | null = null;
  #leading = false;
  #watchingSinceMs: number | null = null;
  #state: ControllerState = newController;

  constructor(options: ControllerOptions, step: StepController = stepController) {
    this.#options = options;
    this.#step = step;
  }

  /** Another machine in the same state, which then goes its own way: a search of all interleavings branches here. */
  copy(): ControllerMachine {
    const copy = new ControllerMachine(this.#options, this.#step);
    for (const [name, entry] of this.#entries) copy.#entries.set(name, entry);
    for (const [name, report] of this.#reports) copy.#reports.set(name, report);
    for (const [kind, effect] of this.#underWay) copy.#underWay.set(kind, effect);
    copy.#roster = { ...this.#roster, entries: copy.#entries };
    copy.#leases = this.#leases;
    copy.#hasReports = this.#hasReports;
    copy.#fleet = this.#fleet;
    copy.#request = this.#request;
    copy.#audit = this.#audit;
    copy.#keyWrite = this.#keyWrite;
    copy.#leading = this.#leading;
    copy.#watchingSinceMs = this.#watchingSinceMs;
    copy.#state = this.#state;
    return copy;
  }

  get state(): ControllerState {
    return this.#state;
  }

  /** How many nodes are on the roster. */
  get nodes(): number {
    return this.#entries.size;
  }

  get fleetRecord(): FleetRecord | null {
    return this.#fleet?.record ?? null;
  }

  isUnderWay(kind: ControllerEffectKind): boolean {
    return this.#underWay.has(kind);
  }

  take(input: ControllerInput, nowMs: number): void {
    switch (input.kind) {
      case "roster":
        return this.#seeRoster(input.event, nowMs);
      case "reports":
        return this.#seeReports(input.event, nowMs);
      case "fleet":
        return this.#seeFleet(input.event);
      case "request":
        if (input.event.kind === "value") this.#request = input.event.object.value;
        return;
      case "leading":
        return this.#lead(input.leads, nowMs);
      case "leases":
        return this.#seeLeases(input.leases, nowMs);
      case "audit":
        this.#audit = input.newest;
        return;
      case "failed":
        if (input.effect === "write-next-key") this.#seeKeyFailure(input.code, input.why);
        return;
      case "retry-due":
        this.#underWay.delete(input.effect);
        return;
      default:
        return this.#takeEnd(input);
    }
  }

  #takeEnd(input: ControllerEffectEnd): void {
    switch (input.kind) {
      case "fleet-written":
        return this.#seeOwnWrite(this.#end("write-fleet").record, input.version);
      case "rotation-put":
        this.#audit = this.#end("put-rotation").rotation;
        return;
      case "request-cleared":
        this.#end("clear-request");
        return;
      case "next-key-written":
        this.#keyWrite = { kind: "written", rotation: this.#end("write-next-key").rotation, keyId: input.keyId };
        return;
    }
  }

  /** One step over all that is known. Its effects are under way from here on, until an input ends them. */
  turn(wallAt: string, nowMs: number): ControllerStep {
    const step = this.#step(this.#state, this.observe(wallAt), nowMs, this.#options);
    this.#state = step.state;
    for (const effect of step.effects) this.#underWay.set(effect.kind, effect);
    return step;
  }

  /** @param wallAt wall clock, ISO 8601; only shown */
  observe(wallAt: string): ControllerObservation {
    return {
      leading: this.#leading,
      watchingSinceMs: this.#watchingSinceMs,
      roster: this.#roster,
      reports: this.#reports,
      leases: this.#leases,
      fleet: this.#fleet,
      request: this.#request,
      audit: this.#audit,
      keyWrite: this.#keyWrite,
      inFlight: new Set(this.#underWay.keys()),
      wallAt,
    };
  }

  #lead(leads: boolean, nowMs: number): void {
    this.#leading = leads;
    this.#state = { ...newController, beats: this.#state.beats };
    if (leads) this.#audit = undefined;
    if (leads) this.#keyWrite = null;
    this.#watchAgain(nowMs);
  }

  /**
   * Silence is counted from here: before this moment the process could not see who is alive. Until both listings are
   * there nothing is decided; each watch loses its own alone, as the other may have its new one already.
   */
  #watchAgain(nowMs: number): void {
    const sees = this.#leading && this.#roster.complete && this.#hasReports;
    this.#watchingSinceMs = sees ? nowMs : null;
  }

  #seeLeases(leases: readonly LeaseView[] | null, nowMs: number): void {
    if (leases === null) this.#watchAgain(nowMs);
    else this.#leases = new Map(leases.map((lease) => [lease.name, lease] as const));
  }

  #seeRoster(event: WatchEvent<RosterEntry>, nowMs: number): void {
    if (event.kind === "disconnected") {
      this.#roster = { ...this.#roster, complete: false };
      return this.#watchAgain(nowMs);
    }
    const unreadable = new Set(event.kind === "listing" ? (event.unreadable as readonly NodeName[] | undefined) : this.#roster.unreadable);
    if (event.kind === "listing") this.#entries.clear();
    if (event.kind === "listing") for (const entry of event.items) this.#entries.set(entry.name, entry);
    if (event.kind === "put") this.#entries.set(event.item.name, event.item);
    if (event.kind === "put") unreadable.delete(event.item.name);
    if (event.kind === "removed") this.#entries.delete(event.name as NodeName);
    if (event.kind === "removed") unreadable.delete(event.name as NodeName);
    const complete = this.#roster.complete || event.kind === "listing";
    this.#roster = { ...this.#roster, complete, unreadable, revision: event.revision as RosterRevision };
    if (event.kind === "listing") this.#watchAgain(nowMs);
  }

  #seeReports(event: WatchEvent<Report>, nowMs: number): void {
    if (event.kind === "disconnected") {
      this.#hasReports = false;
      return this.#watchAgain(nowMs);
    }
    if (event.kind === "listing") this.#reports.clear();
    if (event.kind === "listing") for (const report of event.items) this.#reports.set(report.node, report);
    if (event.kind === "put") this.#reports.set(event.item.node, event.item);
    if (event.kind === "removed") this.#reports.delete(event.name as NodeName);
    this.#hasReports ||= event.kind === "listing";
    if (event.kind === "listing") this.#watchAgain(nowMs);
  }

  #seeFleet(event: SingleEvent<FleetRecord>): void {
    if (event.kind === "disconnected") return;
    this.#fleet = { version: event.object.version, record: event.object.value };
    if (event.object.value?.awaited === undefined) this.#keyWrite = null;
  }

  /** That somebody else wrote first says nothing yet: the next attempt finds what they wrote. */
  #seeKeyFailure(code: string, why: string): void {
    const effect = this.#underWay.get("write-next-key");
    if (effect?.kind !== "write-next-key" || code === "SECRET_CONFLICT") return;
    this.#keyWrite = { kind: "failed", rotation: effect.rotation, problem: { code, why } };
  }

  /** The watch brings the same value; seeing it now keeps a step in between from writing it again. */
  #seeOwnWrite(record: FleetRecord, version: number): void {
    if (this.#fleet !== null && this.#fleet.version >= version) return;
    this.#fleet = { version, record };
  }

  #end<K extends ControllerEffectKind>(kind: K): EffectOf<K> {
    const effect = this.#underWay.get(kind);
    assert(effect?.kind === kind, "an effect that ends is under way");
    this.#underWay.delete(kind);
    return effect as EffectOf<K>;
  }
}
