/**
 * A registry that never shows less than it has shown. One that was restored from an older copy, or emptied, has lost
 * changes that programs acted upon: indices and incarnation numbers that it would give out again, and revisions that count
 * as applied and are about to name other changes. To whoever saw more, it is as if it were away: traffic goes on, nothing
 * is decided on its word, and nothing is written there that would be taken for news. `spindle registry restore` makes one
 * that goes on beyond all that was seen.
 *
 * Invariant: revisions of listings, and versions of the fleet record, that pass do not fall. Does not look at single
 * changes: between two listings they come in order.
 */
import { limits } from "../core/limits.js";
import { fail } from "../core/result.js";
import type { Clock } from "../ports/clock.js";
import type { Done, PortFailure, Stop } from "../ports/failure.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../ports/registry.js";

export const rolledBackCode = "REGISTRY_ROLLED_BACK";

interface Seen {
  readonly what: string;
  newest: number;
  /** What it last showed instead; null while it does not show less. */
  shown: number | null;
}

type Watch<T> = (listener: (event: WatchEvent<T>) => void) => Stop;

export class ForwardRegistry {
  readonly port: RegistryPort;
  readonly #clock: Pick<Clock, "defer" | "nowMs" | "setTimer">;
  readonly #roster: Seen = { what: "roster revision", newest: 0, shown: null };
  readonly #reports: Seen = { what: "revision of reports", newest: 0, shown: null };
  readonly #fleet: Seen = { what: "version of the fleet record", newest: 0, shown: null };

  constructor(registry: RegistryPort, clock: Pick<Clock, "defer" | "nowMs" | "setTimer">) {
    this.#clock = clock;
    // One by one: what a class has by its prototype is not spread.
    this.port = {
      remove: (name, done) => registry.remove(name, done),
      putRequest: (request, done) => registry.putRequest(request, done),
      clearRequest: (id, done) => registry.clearRequest(id, done),
      watchRequest: (listener) => registry.watchRequest(listener),
      putRotation: (record, done) => registry.putRotation(record, done),
      listRotations: (done) => registry.listRotations(done),
      renewLease: (name, id, leaseMs, done) => registry.renewLease(name, id, leaseMs, done),
      listLeases: (done) => registry.listLeases(done),
      campaign: (candidate, leaseMs, leading) => registry.campaign(candidate, leaseMs, leading),
      close: () => registry.close(),
      register: (request, done) => this.#write(done, () => registry.register(request, done)),
      publishReport: (report, done) => this.#write(done, () => registry.publishReport(report, done)),
      writeFleet: (record, version, done) => this.#write(done, () => registry.writeFleet(record, version, done)),
      watchRoster: (listener) => this.#follow(this.#roster, (sink) => registry.watchRoster(sink), listener),
      watchReports: (listener) => this.#follow(this.#reports, (sink) => registry.watchReports(sink), listener),
      watchFleet: (listener) => registry.watchFleet((event) => passSingle(this.#fleet, event, listener)),
    };
  }

  /** What is known from before this program started. */
  remember(rosterRevision: number, fleetVersion: number): void {
    this.#roster.newest = Math.max(this.#roster.newest, rosterRevision);
    this.#fleet.newest = Math.max(this.#fleet.newest, fleetVersion);
  }

  /**
   * A change as new as what was seen says that a registry which was behind is being restored, or only came late: a listing
   * will show when it is there.
   */
  #follow<T>(seen: Seen, watch: Watch<T>, listener: (event: WatchEvent<T>) => void): Stop {
    let end: Stop = () => undefined;
    let cancel: Stop = () => undefined;
    let isExpected = false;
    const lookAgain = (): void => {
      cancel = this.#clock.setTimer(this.#clock.nowMs() + limits.registryLookAgainMs, () => {
        end();
        begin();
      });
    };
    const see = (event: WatchEvent<T>): void => {
      if (seen.shown === null || event.kind === "listing" || event.kind === "disconnected") {
        pass(seen, event, listener);
        isExpected &&= seen.shown !== null;
        if (isExpected && event.kind === "listing") lookAgain();
      } else if (event.revision >= seen.newest && !isExpected) {
        isExpected = true;
        lookAgain();
      }
    };
    const begin = (): void => {
      end = watch(see);
    };
    begin();
    return () => {
      cancel();
      end();
    };
  }

  #write<T>(done: Done<T>, write: () => void): void {
    const behind = [this.#roster, this.#reports, this.#fleet].find(({ shown }) => shown !== null);
    if (behind === undefined) write();
    else this.#clock.defer(() => done(fail(failureOf(behind))));
  }
}

function pass<T>(seen: Seen, event: WatchEvent<T>, listener: (event: WatchEvent<T>) => void): void {
  if (event.kind === "listing") look(seen, event.revision);
  if (event.kind === "put" || event.kind === "removed") seen.newest = Math.max(seen.newest, event.revision);
  if (seen.shown === null) listener(event);
  else listener({ kind: "disconnected", reason: reasonOf(seen) });
}

/** An absent object has version 0: it was there, if a version was seen. */
function passSingle<T>(seen: Seen, event: SingleEvent<T>, listener: (event: SingleEvent<T>) => void): void {
  if (event.kind === "value") look(seen, event.object.version);
  if (seen.shown === null || event.kind === "disconnected") listener(event);
  else listener({ kind: "disconnected", reason: reasonOf(seen) });
}

function look(seen: Seen, revision: number): void {
  seen.shown = revision < seen.newest ? revision : null;
  seen.newest = Math.max(seen.newest, revision);
}

function reasonOf({ what, newest, shown }: Seen): string {
  return `${rolledBackCode}: it shows ${what} ${shown}, and ${newest} was seen`;
}

function failureOf(seen: Seen): PortFailure {
  return { code: rolledBackCode, message: `the registry lost changes: ${reasonOf(seen)}`, retryable: true };
}
