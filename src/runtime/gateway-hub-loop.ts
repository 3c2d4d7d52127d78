/**
 * The one loop of a hub: watches link records, reports and requests, feeds the machine, runs the effects of its steps.
 * Synchronous: ports call back later. Decisions are spaced by `limits.gatewayHubSpacingMs`.
 */
import type { Link } from "../core/gateway/link.js";
import { effectId, type HubEffect, type HubObservation, type HubOptions, type HubState } from "../core/gateway/hub/state.js";
import { limits } from "../core/limits.js";
import type { Clock } from "../ports/clock.js";
import type { Done, PortFailure, Stop } from "../ports/failure.js";
import type { GatewayRegistryPort } from "../ports/gateway-registry.js";
import type { IssuerPort } from "../ports/issuer.js";
import type { Log } from "../ports/log.js";
import { backoffMs } from "./backoff.js";
import type { HubEffectEnd, HubInput } from "./gateway-hub-input.js";
import { HubMachine, type StepHub } from "./gateway-hub-machine.js";
import { logHubNote } from "./gateway-notes.js";

export interface HubPorts {
  readonly clock: Clock;
  /** Milliseconds since the epoch: the validity of certificates and the schedule are in it. */
  readonly wallMs: () => number;
  readonly registry: GatewayRegistryPort;
  readonly issuer: IssuerPort;
  readonly log: Log;
}

export class HubLoop {
  readonly #ports: HubPorts;
  readonly #machine: HubMachine;
  readonly #stops: Stop[] = [];
  readonly #attempts = new Map<string, number>();
  #isTurnQueued = false;
  #isStopped = false;
  #lastTurnMs = -Infinity;
  #cancelWake: Stop | null = null;

  /** @param desired the links of the configuration; null when the registry alone says which there are */
  constructor(options: HubOptions, desired: readonly Link[] | null, ports: HubPorts, step?: StepHub) {
    this.#ports = ports;
    this.#machine = new HubMachine(options, desired, step);
  }

  start(): void {
    const { registry } = this.#ports;
    this.#stops.push(registry.watchLinks(null, (event) => this.#take({ kind: "links", event })));
    this.#stops.push(registry.watchSiteReports((event) => this.#take({ kind: "reports", event })));
    this.#stops.push(registry.watchLinkRequests((event) => this.#take({ kind: "requests", event })));
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWake?.();
    for (const stop of this.#stops.splice(0)) stop();
  }

  inspect(): HubView {
    return { observation: this.#machine.observe(this.#ports.wallMs(), this.#ports.clock.nowMs()), state: this.#machine.state };
  }

  /** All that the hub gets to know goes through here. A lost view alone is no reason for a turn. */
  #take(input: HubInput): void {
    if (this.#isStopped) return;
    this.#machine.take(input, this.#ports.clock.nowMs());
    if (input.kind === "failed") return;
    if ("event" in input && input.event.kind === "disconnected") {
      this.#ports.log.write("warn", "registry away", { watch: input.kind, why: input.event.reason });
      return;
    }
    this.#queueTurn();
  }

  #queueTurn(): void {
    if (this.#isTurnQueued || this.#isStopped) return;
    this.#isTurnQueued = true;
    const { clock } = this.#ports;
    const run = (): void => {
      this.#isTurnQueued = false;
      if (!this.#isStopped) this.#turn();
    };
    const earliestMs = this.#lastTurnMs + limits.gatewayHubSpacingMs;
    if (clock.nowMs() >= earliestMs) clock.defer(run);
    else clock.setTimer(earliestMs, run);
  }

  #turn(): void {
    const { clock, log, wallMs } = this.#ports;
    const nowMs = clock.nowMs();
    this.#lastTurnMs = nowMs;
    const step = this.#machine.turn(wallMs(), nowMs);
    for (const note of step.notes) logHubNote(log, note);
    for (const effect of step.effects) this.#run(effect);
    this.#cancelWake?.();
    if (step.wakeAtMs !== null) this.#cancelWake = clock.setTimer(step.wakeAtMs, () => this.#queueTurn());
  }

  #run(effect: HubEffect): void {
    const { registry, issuer } = this.#ports;
    const ending = <T>(endOf: (value: T) => HubEffectEnd): Done<T> => this.#ending(effect, endOf);
    switch (effect.kind) {
      case "write-link": {
        const { record, expectedVersion } = effect;
        const written = ending((version: number) => ({ kind: "link-written", stored: { version, record } }));
        return registry.writeLink(record, expectedVersion, written);
      }
      case "remove-link": {
        const { record, expectedVersion } = effect;
        const removed = ending(() => ({ kind: "link-removed", link: record.link.name }));
        return registry.removeLink(record, expectedVersion, removed);
      }
      case "issue":
        return issuer.issue(
          effect.order,
          ending((issued) => ({ kind: "issued", link: effect.order.link.name, issued })),
        );
      case "keep-roots":
        return issuer.keepRoots(effect.used, ending(() => ({ kind: "roots-kept" })));
    }
  }

  #ending<T>(effect: HubEffect, endOf: (value: T) => HubEffectEnd): Done<T> {
    return (result) => {
      if (!result.ok) return this.#retry(effect, result.error);
      this.#attempts.delete(effectId(effect));
      this.#take(endOf(result.value));
    };
  }

  #retry(effect: HubEffect, { code, message }: PortFailure): void {
    const { clock, log } = this.#ports;
    const id = effectId(effect);
    const attempts = (this.#attempts.get(id) ?? 0) + 1;
    this.#attempts.set(id, attempts);
    this.#take({ kind: "failed", effect, code, message });
    const retryMs = backoffMs(attempts);
    const level = code === "REGISTRY_CONFLICT" ? "debug" : "warn";
    log.write(level, "retrying", { effect: id, code, why: message, attempt: attempts, retryMs });
    clock.setTimer(clock.nowMs() + retryMs, () => this.#take({ kind: "retry-due", effect }));
  }
}

export interface HubView {
  readonly observation: HubObservation;
  readonly state: HubState;
}
