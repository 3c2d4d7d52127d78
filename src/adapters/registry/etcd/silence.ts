/**
 * Notices a watch that has gone silent. A member is asked for its progress whenever it said nothing
 * for a while, and must answer by the next look. That proves the member and not the watch, so that
 * a watch which got neither an event nor etcd's own notification (every 10 to 11 minutes) for much
 * longer than that counts as silent, too.
 */
import { limits } from "../../../core/limits.js";
import { systemClock } from "../../system/clock.js";
import type { WatchRequest, WatchResponse } from "./api.js";

export class Silence {
  readonly #timer: NodeJS.Timeout;
  #isAsked = false;
  #hasHeard = false;
  #toldMs = systemClock.nowMs();

  /** @param isSilent is called once, with why */
  constructor(ask: (request: WatchRequest) => void, isSilent: (reason: string) => void) {
    this.#timer = setInterval(() => {
      const reason = this.#look();
      if (reason === null) return this.#askIfQuiet(ask);
      this.stop();
      isSilent(reason);
    }, limits.registryPingMs);
  }

  heard({ watchId }: WatchResponse): void {
    this.#hasHeard = true;
    this.#isAsked = false;
    if (watchId >= 0) this.#toldMs = systemClock.nowMs();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #look(): string | null {
    if (this.#isAsked) return `no answer in ${limits.registryPingMs} ms`;
    const quietMs = systemClock.nowMs() - this.#toldMs;
    return quietMs < limits.etcdWatchSilenceMsMax ? null : `the watch told nothing for ${quietMs} ms`;
  }

  #askIfQuiet(ask: (request: WatchRequest) => void): void {
    this.#isAsked = !this.#hasHeard;
    this.#hasHeard = false;
    if (this.#isAsked) ask({ progress: {} });
  }
}
