/**
 * The one loop of a controller: watches roster, reports, fleet record and requests, feeds the machine, runs the effects
 * of its steps. Decisions are spaced, in a large fleet by more, so that a thousand reports in a burst cost a few steps.
 * With a recorder it tells what a replay needs.
 */
import { assert } from "../core/assert.js";
import type { KeyId } from "../core/key-id.js";
import { limits } from "../core/limits.js";
import type { NodeName } from "../core/node.js";
import type { Report } from "../core/report.js";
import type { Roster } from "../core/roster.js";
import type {
  ControllerEffect,
  ControllerObservation,
  ControllerOptions,
  ControllerState,
} from "../core/fleet/controller-state.js";
import { isSettled, sameLevels } from "../core/fleet/levels.js";
import type { FleetRecord } from "../core/fleet/record.js";
import type { Clock } from "../ports/clock.js";
import type { Done, PortFailure, Stop } from "../ports/failure.js";
import type { Log } from "../ports/log.js";
import type { NextKeyPort } from "../ports/next-key.js";
import type { Recorder } from "../ports/recorder.js";
import type { RegistryPort } from "../ports/registry.js";
import { backoffMs } from "./backoff.js";
import type { ControllerEffectEnd, ControllerInput } from "./controller-input.js";
import { ForwardRegistry } from "./forward-registry.js";
import { ControllerMachine, type StepController } from "./controller-machine.js";
import { logControllerNote } from "./notes.js";
import { outcomeOfController, recordingVersion, type RecordingLine } from "./recording.js";

export interface ControllerPorts {
  readonly clock: Clock;
  readonly registry: RegistryPort;
  readonly log: Log;
  /** There where `generate` is set. */
  readonly nextKey?: NextKeyPort;
  /** Gets all that a replay needs. */
  readonly recorder?: Recorder<RecordingLine>;
}

export interface ControllerLoopOptions extends ControllerOptions {
  readonly leaseMs: number;
}

export type { StepController };

export class ControllerLoop {
  readonly #options: ControllerLoopOptions;
  readonly #ports: ControllerPorts;
  readonly #machine: ControllerMachine;
  readonly #stops: Stop[] = [];
  #leading = false;
  #isTurnQueued = false;
  #isStopped = false;
  #lastTurnMs = 0;
  /** Attempts to write a key that failed in a row. */
  #keyFailures = 0;
  #cancelWake: Stop | null = null;
  #cancelLeases: Stop | null = null;

  constructor(options: ControllerLoopOptions, ports: ControllerPorts, step?: StepController) {
    this.#options = options;
    this.#ports = { ...ports, registry: new ForwardRegistry(ports.registry, ports.clock).port };
    this.#machine = new ControllerMachine(options, step);
  }

  start(): void {
    const { registry, recorder, clock } = this.#ports;
    recorder?.write({
      kind: "controller-recording",
      schemaVersion: recordingVersion,
      ...recorder.program,
      wallAt: clock.wallAt(),
      atMs: clock.nowMs(),
      options: this.#options,
    });
    this.#stops.push(registry.watchRoster((event) => this.#take({ kind: "roster", event })));
    this.#stops.push(registry.watchReports((event) => this.#take({ kind: "reports", event })));
    this.#stops.push(registry.watchFleet((event) => this.#take({ kind: "fleet", event })));
    this.#stops.push(registry.watchRequest((event) => this.#take({ kind: "request", event })));
    this.#stops.push(registry.campaign(this.#options.name, this.#options.leaseMs, (leads) => this.#lead(leads)));
    this.#listLeases();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    const hasStarted = this.#stops.length > 0;
    if (hasStarted) this.#ports.recorder?.write({ atMs: this.#ports.clock.nowMs(), end: "stopped" });
    this.#cancelWake?.();
    this.#cancelLeases?.();
    for (const stop of this.#stops) stop();
  }

  inspect(): ControllerView {
    const observation = this.#machine.observe(this.#ports.clock.wallAt());
    return {
      leading: observation.leading,
      record: observation.fleet?.record ?? null,
      roster: observation.roster,
      reports: observation.reports,
      state: this.#machine.state,
      observation,
    };
  }

  /** All that the controller gets to know goes through here. A lost view alone is no reason for a turn. */
  #take(input: ControllerInput): void {
    if (this.#isStopped) return;
    const atMs = this.#ports.clock.nowMs();
    const before = this.#machine.fleetRecord;
    this.#ports.recorder?.write({ atMs, input });
    this.#machine.take(input, atMs);
    this.#tellRecord(before);
    if ("event" in input && input.event.kind === "disconnected") return;
    if (input.kind !== "failed") this.#queueTurn();
  }

  #tellRecord(before: FleetRecord | null): void {
    const record = this.#machine.fleetRecord;
    if (record === null || record === before) return;
    const { rotation, phase, target, levels } = record;
    if (phase !== before?.phase) logControllerNote(this.#ports.log, { kind: "fleet-phase", rotation, phase, target });
    this.#tellAwaited(record.awaited, before?.awaited);
    if (levels === undefined || sameLevels(levels, before?.levels)) return;
    const { level, wanted } = levels;
    logControllerNote(this.#ports.log, { kind: "fleet-level", level, wanted, isApplied: isSettled(levels) });
  }

  #tellAwaited(awaited: FleetRecord["awaited"], before: FleetRecord["awaited"]): void {
    if (awaited === undefined) return;
    const { by, reason, keyId } = awaited;
    if (by !== before?.by || reason !== before.reason) logControllerNote(this.#ports.log, { kind: "rotation-awaited", by, reason });
    if (keyId !== null && keyId !== before?.keyId) logControllerNote(this.#ports.log, { kind: "key-written", keyId });
  }

  #lead(leads: boolean): void {
    if (leads === this.#leading) return;
    this.#leading = leads;
    this.#ports.log.write("info", leads ? "leading" : "not leading", { name: this.#options.name });
    this.#take({ kind: "leading", leads });
    if (leads) this.#readAudit();
  }

  #readAudit(): void {
    this.#ports.registry.listRotations((result) => {
      if (result.ok) return this.#take({ kind: "audit", newest: result.value[0] ?? null });
      this.#later(() => this.#readAudit(), result.error, "list-rotations");
    });
  }

  #listLeases(): void {
    if (this.#isStopped) return;
    const { clock, registry } = this.#ports;
    this.#cancelLeases = clock.setTimer(clock.nowMs() + this.#options.leaseMs / 3, () => this.#listLeases());
    if (!this.#leading) return;
    registry.listLeases((result) => this.#take({ kind: "leases", leases: result.ok ? result.value : null }));
  }

  #queueTurn(): void {
    if (this.#isTurnQueued || this.#isStopped) return;
    this.#isTurnQueued = true;
    const { clock } = this.#ports;
    const run = (): void => {
      this.#isTurnQueued = false;
      if (!this.#isStopped) this.#turn();
    };
    const earliestMs = this.#lastTurnMs + controllerSpacingMs(this.#machine.nodes);
    if (clock.nowMs() >= earliestMs) clock.defer(run);
    else clock.setTimer(earliestMs, run);
  }

  #turn(): void {
    const { clock, log, recorder } = this.#ports;
    const nowMs = clock.nowMs();
    this.#lastTurnMs = nowMs;
    const wallAt = clock.wallAt();
    recorder?.write({ atMs: nowMs, turn: { wallAt } });
    const step = this.#machine.turn(wallAt, nowMs);
    recorder?.write({ did: outcomeOfController(step) });
    for (const note of step.notes) logControllerNote(log, note);
    for (const effect of step.effects) this.#run(effect);
    this.#cancelWake?.();
    if (step.wakeAtMs !== null) this.#cancelWake = clock.setTimer(step.wakeAtMs, () => this.#queueTurn());
  }

  #run(effect: ControllerEffect): void {
    const { registry } = this.#ports;
    const ending = <T>(endOf: (value: T) => ControllerEffectEnd): Done<T> => this.#ending(effect, endOf);
    switch (effect.kind) {
      case "write-fleet": {
        const done = ending((version: number) => ({ kind: "fleet-written", version }));
        return registry.writeFleet(effect.record, effect.expectedVersion, done);
      }
      case "put-rotation":
        return registry.putRotation(effect.rotation, ending(() => ({ kind: "rotation-put" })));
      case "clear-request":
        return registry.clearRequest(effect.requestId, ending(() => ({ kind: "request-cleared" })));
      case "write-next-key": {
        const { nextKey } = this.#ports;
        assert(nextKey !== undefined, "who makes keys has a place to write them to");
        const done = ending((keyId: KeyId) => ({ kind: "next-key-written", keyId }));
        return nextKey.write(effect, (result) => {
          this.#keyFailures = result.ok ? 0 : this.#keyFailures + 1;
          done(result);
        });
      }
    }
  }

  #ending<T>(effect: ControllerEffect, endOf: (value: T) => ControllerEffectEnd): Done<T> {
    return (result) => {
      if (result.ok) return this.#take(endOf(result.value));
      const { code, message: why } = result.error;
      this.#take({ kind: "failed", effect: effect.kind, code, why });
      this.#later(() => this.#take({ kind: "retry-due", effect: effect.kind }), result.error, effect.kind);
    };
  }

  #later(again: () => void, failure: PortFailure, what: string): void {
    const { clock, log } = this.#ports;
    const level = failure.code.endsWith("_CONFLICT") ? "debug" : "warn";
    log.write(level, "retrying", { effect: what, code: failure.code, why: failure.message });
    const waitMs = what === "write-next-key" ? backoffMs(this.#keyFailures) : limits.retryMsMin;
    clock.setTimer(clock.nowMs() + waitMs, again);
  }
}

/** A step goes over all nodes: in a large fleet steps are as far apart as keeps a core free for other work. */
function controllerSpacingMs(nodes: number): number {
  return Math.max(limits.controllerSpacingMs, nodes * limits.controllerSpacingMsPerNode);
}

export interface ControllerView {
  readonly leading: boolean;
  readonly record: FleetRecord | null;
  readonly roster: Roster;
  readonly reports: ReadonlyMap<NodeName, Report>;
  readonly state: ControllerState;
  readonly observation: ControllerObservation;
}
