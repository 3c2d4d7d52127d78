/** Mutants of how agents and controllers hear of each other: acknowledgements as events, writes without compare-and-set. */
import type { Report } from "../../core/report.js";
import type { FleetRecord } from "../../core/fleet/record.js";
import type { Done } from "../../ports/failure.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../../ports/registry.js";
import type { Mutant } from "./mutant.js";

/** An acknowledgement is what arrives while one waits for it: a listing brings none. */
function withoutListedReports(registry: RegistryPort): RegistryPort {
  const asEvents = (event: WatchEvent<Report>): WatchEvent<Report> =>
    event.kind === "listing" ? { ...event, items: [] } : event;
  return { ...registry, watchReports: (listener) => registry.watchReports((event) => listener(asEvents(event))) };
}

/** Whatever version is stored, it is written over. */
function overwriting(registry: RegistryPort): RegistryPort {
  const write = (record: FleetRecord, done: Done<number>): void => {
    let isAnswered = false;
    const stop = registry.watchFleet((event: SingleEvent<FleetRecord>) => {
      if (event.kind === "disconnected" || isAnswered) return;
      isAnswered = true;
      stop();
      registry.writeFleet(record, event.object.version, (result) => {
        if (result.ok || result.error.code !== "REGISTRY_CONFLICT") done(result);
        else write(record, done);
      });
    });
  };
  return { ...registry, writeFleet: (record, _expectedVersion, done) => write(record, done) };
}

/** Every candidate believes that it leads, as after a pause that outlasts its lease. */
export function alwaysLeading(registry: RegistryPort): RegistryPort {
  return {
    ...registry,
    campaign: (candidate, leaseMs, leading) =>
      registry.campaign(candidate, leaseMs, () => leading(true)),
  };
}

/** Every listing counts as new, whatever was seen before. */
function alwaysNew(registry: RegistryPort): RegistryPort {
  let newest = 0;
  const aged = <E extends { readonly kind: string; readonly revision?: number }>(event: E): E => {
    newest = Math.max(newest, event.revision ?? 0);
    return event.kind === "listing" ? { ...event, revision: newest } : event;
  };
  return {
    ...registry,
    watchRoster: (listener) => registry.watchRoster((event) => listener(aged(event))),
    watchReports: (listener) => registry.watchReports((event) => listener(aged(event))),
  };
}

export const coordinationMutants: readonly Mutant[] = [
  {
    name: "older-registry-obeyed",
    without: "a registry that shows less than was seen is as if it were away",
    changes: {
      wrapAgentPorts: (_name, ports) => ({ ...ports, registry: alwaysNew(ports.registry) }),
      wrapControllerPorts: (_name, ports) => ({ ...ports, registry: alwaysNew(ports.registry) }),
    },
  },
  {
    name: "edge-triggered-acks",
    without: "what a node reported counts whenever one learns of it",
    changes: {
      wrapAgentPorts: (_name, ports) => ({ ...ports, registry: withoutListedReports(ports.registry) }),
      wrapControllerPorts: (_name, ports) => ({ ...ports, registry: withoutListedReports(ports.registry) }),
    },
  },
  {
    name: "two-leaders-no-cas",
    without: "a controller's write counts only if the record is still the one it decided upon",
    changes: {
      wrapControllerPorts: (_name, ports) => ({ ...ports, registry: overwriting(alwaysLeading(ports.registry)) }),
    },
  },
];
