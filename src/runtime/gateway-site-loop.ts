/**
 * The one loop of a site: feeds inputs to the machine, runs the effects of its steps through the ports, posts the
 * results. Synchronous: ports call back later. An effect that failed waits until its retry is due. The same loop runs in
 * production, in the lab and in the simulator.
 */
import { effectId, type SiteEffect, type SiteObservation, type SiteOptions, type SiteState } from "../core/gateway/site/state.js";
import type { Clock } from "../ports/clock.js";
import type { Done, PortFailure, Stop } from "../ports/failure.js";
import type { GatewayRegistryPort } from "../ports/gateway-registry.js";
import type { Log } from "../ports/log.js";
import type { StoragePort } from "../ports/storage.js";
import type { TunnelPort } from "../ports/tunnel.js";
import { backoffMs } from "./backoff.js";
import { formatLinks, linksDocument, parseLinks } from "./gateway-documents.js";
import { logSiteNote } from "./gateway-notes.js";
import type { SiteEffectEnd, SiteInput } from "./gateway-site-input.js";
import { SiteMachine, type StepSite } from "./gateway-site-machine.js";

export interface SitePorts {
  readonly clock: Clock;
  readonly registry: GatewayRegistryPort;
  readonly tunnel: TunnelPort;
  readonly storage: StoragePort;
  readonly log: Log;
}

export class SiteLoop {
  readonly #options: SiteOptions;
  readonly #ports: SitePorts;
  readonly #step: StepSite | undefined;
  readonly #stops: Stop[] = [];
  readonly #attempts = new Map<string, number>();
  #machine: SiteMachine | null = null;
  #isTurnQueued = false;
  #isStopped = false;
  #cancelWake: Stop | null = null;

  constructor(options: SiteOptions, ports: SitePorts, step?: StepSite) {
    this.#options = options;
    this.#ports = ports;
    this.#step = step;
  }

  /** Loads the records, then watches. A document of an unknown version stops the site: nothing is guessed. */
  start(failed: (message: string) => void): void {
    this.#ports.storage.load(linksDocument, (text) => {
      if (this.#isStopped) return;
      if (!text.ok) return failed(text.error.message);
      const links = parseLinks(text.value);
      if (!links.ok) return failed(links.error);
      const machine = new SiteMachine(this.#options, links.value, this.#step);
      this.#machine = machine;
      const { registry, tunnel } = this.#ports;
      this.#stops.push(registry.watchLinks(this.#options.site, (event) => this.#take({ kind: "links", event })));
      this.#stops.push(tunnel.watch((link) => this.#take({ kind: "touched", link })));
      this.#queueTurn();
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWake?.();
    for (const stop of this.#stops.splice(0)) stop();
  }

  /** What there is to show; null before the records are loaded. */
  inspect(): SiteView | null {
    const machine = this.#machine;
    return machine === null ? null : { observation: machine.observe(), state: machine.state };
  }

  /** All that the site gets to know goes through here. */
  #take(input: SiteInput): void {
    if (this.#isStopped) return;
    this.#machine?.take(input);
    if (input.kind === "links" && input.event.kind === "disconnected") {
      this.#ports.log.write("warn", "registry away", { why: input.event.reason });
    }
    this.#queueTurn();
  }

  /** Many posts become one turn. */
  #queueTurn(): void {
    if (this.#isTurnQueued || this.#isStopped) return;
    this.#isTurnQueued = true;
    this.#ports.clock.defer(() => {
      this.#isTurnQueued = false;
      if (!this.#isStopped) this.#turn();
    });
  }

  #turn(): void {
    const { clock, log } = this.#ports;
    const nowMs = clock.nowMs();
    const step = this.#machine?.turn(nowMs);
    if (step === undefined) return;
    for (const note of step.notes) logSiteNote(log, note);
    for (const effect of step.effects) this.#run(effect);
    this.#cancelWake?.();
    this.#cancelWake = null;
    if (step.wakeAtMs === null) return;
    this.#cancelWake = clock.setTimer(Math.max(step.wakeAtMs, nowMs + 1), () => this.#queueTurn());
  }

  #run(effect: SiteEffect): void {
    const { tunnel, registry, storage } = this.#ports;
    const ending = <T>(endOf: (value: T) => SiteEffectEnd): Done<T> => this.#ending(effect, endOf);
    const deed = (): SiteEffectEnd => ({ kind: "deed-done" });
    switch (effect.kind) {
      case "save-links": {
        const { links } = effect;
        return storage.save(linksDocument, () => formatLinks(links), ending(() => ({ kind: "links-saved", links })));
      }
      case "observe":
        return tunnel.observe(effect.link, effect.probe, ending((observation) => ({ kind: "observed", observation })));
      case "prepare":
        return tunnel.prepare(effect.gateway, ending((csr) => ({ kind: "prepared", csr })));
      case "start":
        return tunnel.start(effect.gateway, effect.credentials, effect.roots, ending(deed));
      case "replace-route":
        return tunnel.replaceRoute(effect.link, effect.side, effect.hops, ending(deed));
      case "remove":
        return tunnel.remove(effect.link, effect.pair, effect.number, ending(deed));
      case "remove-route":
        return tunnel.removeRoute(effect.link, ending(deed));
      case "publish-report": {
        const { report } = effect;
        return registry.publishSiteReport(report, ending(() => ({ kind: "report-published", report })));
      }
    }
  }

  #ending<T>(effect: SiteEffect, endOf: (value: T) => SiteEffectEnd): Done<T> {
    return (result) => {
      if (!result.ok) return this.#retry(effect, result.error);
      this.#attempts.delete(effectId(effect));
      this.#take({ kind: "ended", effect, end: endOf(result.value) });
    };
  }

  /** The next step decides anew what to do; nothing of the failed effect is kept. */
  #retry(effect: SiteEffect, { code, message }: PortFailure): void {
    const { clock, log } = this.#ports;
    const id = effectId(effect);
    const attempts = (this.#attempts.get(id) ?? 0) + 1;
    const retryMs = backoffMs(attempts);
    this.#attempts.set(id, attempts);
    this.#take({ kind: "failed", effect, code, message });
    log.write("warn", "retrying", { effect: id, code, why: message, attempt: attempts, retryMs });
    clock.setTimer(clock.nowMs() + retryMs, () => this.#take({ kind: "retry-due", effect }));
  }
}

export interface SiteView {
  readonly observation: SiteObservation;
  readonly state: SiteState;
}
