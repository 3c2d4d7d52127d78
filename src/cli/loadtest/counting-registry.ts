/**
 * A registry port that counts what passes: what the programs asked to be written, and what their
 * watches were told. It is the same for every kind of registry, since it looks at its port.
 */
import type { Done, Stop } from "../../ports/failure.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../ports/registry.js";
import type { LoadCounter } from "./load-counter.js";

/** A write counts when it succeeded. */
export function countingRegistry(registry: RegistryPort, counter: LoadCounter): RegistryPort {
  const write =
    <T>(done: Done<T>): Done<T> =>
    (result) => {
      if (result.ok) counter.countWrite();
      done(result);
    };
  return {
    register: (request, done) => registry.register(request, write(done)),
    remove: (name, done) => registry.remove(name, write(done)),
    watchRoster: (listener) => registry.watchRoster(list(listener, counter)),
    publishReport: (report, done) => registry.publishReport(report, write(done)),
    watchReports: (listener) => registry.watchReports(list(listener, counter)),
    writeFleet: (record, version, done) => registry.writeFleet(record, version, write(done)),
    watchFleet: (listener) => registry.watchFleet(single(listener, counter)),
    putRequest: (request, done) => registry.putRequest(request, write(done)),
    clearRequest: (id, done) => registry.clearRequest(id, write(done)),
    watchRequest: (listener) => registry.watchRequest(single(listener, counter)),
    putRotation: (record, done) => registry.putRotation(record, write(done)),
    listRotations: (done) => registry.listRotations(done),
    renewLease: (name, incarnationId, leaseMs, done) =>
      registry.renewLease(name, incarnationId, leaseMs, (result) => {
        if (result.ok) counter.countLeaseRenewal();
        done(result);
      }),
    listLeases: (done) => registry.listLeases(done),
    campaign: (candidate, leaseMs, leading): Stop => registry.campaign(candidate, leaseMs, leading),
    close: () => registry.close(),
  };
}

function list<T>(
  listener: (event: WatchEvent<T>) => void,
  counter: LoadCounter,
): (event: WatchEvent<T>) => void {
  return (event) => {
    if (event.kind === "put" || event.kind === "removed") counter.countEvent();
    listener(event);
  };
}

/** The first value is a listing of one. */
function single<T>(
  listener: (event: SingleEvent<T>) => void,
  counter: LoadCounter,
): (event: SingleEvent<T>) => void {
  let isFirst = true;
  return (event) => {
    if (event.kind === "value" && !isFirst) counter.countEvent();
    isFirst = isFirst && event.kind !== "value";
    listener(event);
  };
}
