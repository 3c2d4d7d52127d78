/**
 * A registry that delivers so many events per second and no more (cilium #42721): what is due above that waits, in the
 * order in which it became due, so every watcher lags. A listing counts as one event.
 */
import type { Stop } from "../../ports/failure.js";
import type { Clock } from "../../ports/clock.js";
import type { RegistryPort } from "../../ports/registry.js";
import type { SimOptions } from "../options.js";

/** One for all programs of a fleet. */
export class BoundedRegistry {
  readonly #eventMs: number;
  readonly #nowMs: () => number;
  #freeAtMs = 0;
  /** The longest that an event has waited. */
  lagMsMax = 0;

  constructor(eventsPerSecond: number, nowMs: () => number) {
    this.#eventMs = 1_000 / eventsPerSecond;
    this.#nowMs = nowMs;
  }

  /** What is due is delivered, and nothing waits. */
  get isIdle(): boolean {
    return this.#freeAtMs <= this.#nowMs();
  }

  /** The same options, with this bound between every program and the registry. */
  bind(options: SimOptions): SimOptions {
    const { wrapAgentPorts, wrapControllerPorts } = options;
    return {
      ...options,
      wrapAgentPorts: (name, ports) => {
        const bounded = this.#around(ports);
        return wrapAgentPorts?.(name, bounded) ?? bounded;
      },
      wrapControllerPorts: (name, ports) => {
        const bounded = this.#around(ports);
        return wrapControllerPorts?.(name, bounded) ?? bounded;
      },
    };
  }

  /** The same registry, whose events wait their turn. Delays are counted on the program's own clock. */
  #around<P extends { readonly registry: RegistryPort; readonly clock: Clock }>(ports: P): P {
    const { registry, clock } = ports;
    const delayed = <E>(watch: (listener: (event: E) => void) => Stop) => {
      return (listener: (event: E) => void): Stop => {
        let isStopped = false;
        const stop = watch((event) => {
          clock.setTimer(clock.nowMs() + this.#waitMs(), () => {
            if (!isStopped) listener(event);
          });
        });
        return () => {
          isStopped = true;
          stop();
        };
      };
    };
    return {
      ...ports,
      registry: {
        ...registry,
        watchRoster: delayed(registry.watchRoster),
        watchReports: delayed(registry.watchReports),
        watchFleet: delayed(registry.watchFleet),
        watchRequest: delayed(registry.watchRequest),
      },
    };
  }

  #waitMs(): number {
    const nowMs = this.#nowMs();
    this.#freeAtMs = Math.max(this.#freeAtMs, nowMs) + this.#eventMs;
    const waitMs = this.#freeAtMs - this.#eventMs - nowMs;
    this.lagMsMax = Math.max(this.lagMsMax, waitMs);
    return waitMs;
  }
}
