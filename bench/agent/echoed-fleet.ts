/**
 * A fleet in which one agent is real. The others are roster entries in the registry, and what they report is what the real
 * one reports, under their names: they stage when it stages and switch when it switches. So the controller's own code
 * takes the whole fleet through a rotation, and the real agent has as many peers as one likes.
 */
import type { IncarnationId, NodeAddresses, NodeName, RosterEntry } from "../../src/core/node.js";
import type { Report } from "../../src/core/report.js";
import type { Done } from "../../src/ports/failure.js";
import type { LeaseView, RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { randomIncarnationId } from "../../src/cli/loadtest/incarnation.js";

/** Registrations under way at the same time: what a leader on Kubernetes announces in one write. */
const underWayMax = 16;

export interface Echo {
  readonly node: NodeName;
  readonly incarnationId: IncarnationId;
}

/** 198.18.0.0/15 is for benchmarks (RFC 2544): in this part of it nobody is there. */
function addressesOf(index: number, udpPort: number | null): NodeAddresses {
  return { ipv4: `198.18.${64 + (index >> 8)}.${index & 255}`, ipv6: null, udpPort };
}

/** Puts the peers on the roster. @param udpPort of ESP in UDP, null for plain ESP */
export async function admitEchoes(registry: RegistryPort, peers: number, udpPort: number | null): Promise<readonly Echo[]> {
  const echoes = Array.from({ length: peers }, (_, index): Echo => {
    const node = `peer-${index + 1}.rack-${index % 40}.example` as NodeName;
    return { node, incarnationId: randomIncarnationId() };
  });
  const waiting = echoes.entries();
  const admitRest = async (): Promise<void> => {
    for (const [index, { node: name, incarnationId }] of waiting) {
      await settled<RosterEntry>((done) => registry.register({ name, incarnationId, addresses: addressesOf(index, udpPort) }, done));
    }
  };
  await Promise.all(Array.from({ length: underWayMax }, admitRest));
  return echoes;
}

/** The registry as the controller is to see it. @param real the agents that run */
export function echoedRegistry(registry: RegistryPort, real: ReadonlySet<NodeName>, echoes: readonly Echo[]): RegistryPort {
  const [first] = real;
  return {
    ...portOf(registry),
    watchReports: (listener) => registry.watchReports((event) => {
      for (const one of echoed(event, first, echoes)) listener(one);
    }),
    listLeases: (done) => registry.listLeases((result) => {
      const beat = Date.now();
      const alive = echoes.map(({ node: name, incarnationId }): LeaseView => ({ name, incarnationId, beat }));
      done(result.ok ? { ok: true, value: [...result.value, ...alive] } : result);
    }),
  };
}

/** What comes to the listener: the event, and after it the words of those who echo the first real agent. */
function* echoed(event: WatchEvent<Report>, first: NodeName | undefined, echoes: readonly Echo[]): Generator<WatchEvent<Report>> {
  if (event.kind === "listing") {
    const heard = event.items.find(({ node }) => node === first);
    const items = heard === undefined ? event.items : [...event.items, ...echoes.map((echo) => ({ ...heard, ...echo }))];
    yield { ...event, items };
    return;
  }
  yield event;
  if (event.kind !== "put" || event.item.node !== first) return;
  for (const echo of echoes) yield { ...event, item: { ...event.item, ...echo } };
}

/** The methods of a class are not its own fields. */
function portOf(registry: RegistryPort): RegistryPort {
  return {
    register: (request, done) => registry.register(request, done),
    remove: (name, done) => registry.remove(name, done),
    watchRoster: (listener) => registry.watchRoster(listener),
    publishReport: (report, done) => registry.publishReport(report, done),
    watchReports: (listener) => registry.watchReports(listener),
    writeFleet: (record, version, done) => registry.writeFleet(record, version, done),
    watchFleet: (listener) => registry.watchFleet(listener),
    putRequest: (request, done) => registry.putRequest(request, done),
    clearRequest: (id, done) => registry.clearRequest(id, done),
    watchRequest: (listener) => registry.watchRequest(listener),
    putRotation: (record, done) => registry.putRotation(record, done),
    listRotations: (done) => registry.listRotations(done),
    renewLease: (name, incarnationId, leaseMs, done) => registry.renewLease(name, incarnationId, leaseMs, done),
    listLeases: (done) => registry.listLeases(done),
    campaign: (candidate, leaseMs, leading) => registry.campaign(candidate, leaseMs, leading),
    close: () => registry.close(),
  };
}

export function settled<T>(start: (done: Done<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    start((result) => {
      if (result.ok) resolve(result.value);
      else reject(new Error(`${result.error.code}: ${result.error.message}`));
    });
  });
}
