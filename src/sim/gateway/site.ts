/** One site of a simulated fleet: what outlives its program (files, processes, routes), and the program itself. */
import type { GatewayRef, Link, LinkName, Side, SiteName } from "../../core/gateway/link.js";
import { sideOf } from "../../core/gateway/link.js";
import type { LinkObservation, ObservedGateway, RouteHop } from "../../core/gateway/report.js";
import type { SiteOptions } from "../../core/gateway/site/state.js";
import { fail, succeed, type Result } from "../../core/result.js";
import type { Clock } from "../../ports/clock.js";
import type { Done, PortFailure } from "../../ports/failure.js";
import type { StoragePort } from "../../ports/storage.js";
import type { TunnelPort } from "../../ports/tunnel.js";
import type { SiteLoop } from "../../runtime/gateway-site-loop.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import type { GatewayClient } from "./registry.js";
import type { Endpoint, SimTunnels } from "./tunnels.js";

/** One run of the site's program. */
export interface SimSiteProgram {
  readonly loop: SiteLoop;
  readonly client: GatewayClient;
  alive: boolean;
}

export interface SimSite {
  readonly name: SiteName;
  readonly options: SiteOptions;
  readonly disk: Map<string, string>;
  readonly routes: Map<LinkName, readonly RouteHop[]>;
  /** Links whose place in the routing table somebody else has. */
  readonly foreignRoutes: Map<LinkName, string>;
  readonly touched: Set<(link: LinkName) => void>;
  program: SimSiteProgram | null;
  /** What a change of a process or route takes. */
  deedMs: number;
  /** Its wall clock is ahead by so much. */
  skewMs: number;
  bootedAtMs: number;
}

export interface SimSiteWorld {
  readonly time: VirtualTime;
  readonly tunnels: SimTunnels;
  /** Told before a gateway of a link is removed, for checkers. */
  readonly removing: (site: SimSite, endpoint: Endpoint) => void;
}

const observeMs = 60;
const keyMs = 40;

export function tunnelPort(site: SimSite, clock: Clock, world: SimSiteWorld, isAlive: () => boolean): TunnelPort {
  const later = <T>(ms: number, done: Done<T>, result: () => Result<T, PortFailure>): void => {
    world.time.post(world.time.nowMs + ms, () => {
      if (isAlive()) done(result());
    });
  };
  return {
    prepare: (gateway, done) => later(keyMs, done, () => {
      endpointOf(gateway, site, world.tunnels);
      return succeed(`csr ${gateway.link.name} ${gateway.side} ${gateway.pair} ${gateway.number}`);
    }),
    start: (gateway, credentials, roots, done) => later(site.deedMs, done, () => {
      const endpoint = world.tunnels.find(gateway.link.name, gateway.side, gateway.pair, gateway.number);
      if (endpoint === undefined) return fail(failure("GATEWAY_KEY_MISSING", "no key of this generation"));
      endpoint.credentials = credentials;
      endpoint.roots = roots;
      return world.tunnels.start(endpoint) ? succeed(null) : fail(failure("OPENVPN_START_FAILED", "another process listens there"));
    }),
    observe: (link, probe, done) => {
      const startedMs = clock.nowMs();
      later(observeMs, done, () => succeed(observationOf(link, probe, site, world, startedMs)));
    },
    replaceRoute: (link, _side, hops, done) => later(site.deedMs, done, () => {
      site.routes.set(link.name, hops.map(({ pair, number }) => ({ pair, number })));
      return succeed({ kind: "hops", hops });
    }),
    remove: (link, pair, number, done) => later(site.deedMs, done, () => {
      for (const side of ["server", "client"] as const) {
        const endpoint = world.tunnels.find(link, side, pair, number);
        if (endpoint?.site !== site.name) continue;
        world.removing(site, endpoint);
        world.tunnels.remove(endpoint);
      }
      return succeed(null);
    }),
    removeRoute: (link, done) => later(site.deedMs, done, () => {
      site.routes.delete(link);
      return succeed(null);
    }),
    watch: (changed) => {
      site.touched.add(changed);
      return () => site.touched.delete(changed);
    },
  };
}

function endpointOf({ link, side, pair, number, slot }: GatewayRef, site: SimSite, tunnels: SimTunnels): Endpoint {
  return tunnels.find(link.name, side, pair, number) ?? tunnels.add({ link: link.name, side, site: site.name, pair, number, slot });
}

function observationOf(
  link: Link,
  probe: readonly GatewayRef[],
  site: SimSite,
  { tunnels }: SimSiteWorld,
  observedMs: number,
): LinkObservation {
  const side = sideOf(link, site.name);
  const endpoints = side === null ? [] : tunnels.of(link.name, side);
  for (const endpoint of endpoints) {
    if (probe.some(({ pair, number }) => pair === endpoint.pair && number === endpoint.number)) tunnels.probe(endpoint);
  }
  const foreign = site.foreignRoutes.get(link.name);
  return {
    gateways: endpoints.map((endpoint) => viewOf(endpoint, tunnels, observedMs)),
    route: foreign === undefined ? { kind: "hops", hops: routeHops(site, link.name, side, tunnels) } : { kind: "foreign", what: foreign },
  };
}

/** The kernel drops a hop with its device. */
export function routeHops(site: SimSite, link: LinkName, side: Side | null, tunnels: SimTunnels): readonly RouteHop[] {
  return (site.routes.get(link) ?? []).filter(({ pair, number }) => {
    const endpoint = side === null ? undefined : tunnels.find(link, side, pair, number);
    return endpoint !== undefined && tunnels.hasDevice(endpoint);
  });
}

function viewOf(endpoint: Endpoint, tunnels: SimTunnels, observedMs: number): ObservedGateway {
  const { pair, number, slot, side, credentials, process, echo, bytesIn, bytesOut } = endpoint;
  const hasDevice = tunnels.hasDevice(endpoint);
  const isUp = tunnels.saysUp(endpoint);
  return {
    pair,
    number,
    digest: credentials?.digest ?? null,
    process: process === null ? "down" : "up",
    tunnel: isUp ? "up" : "down",
    interfaceName: hasDevice ? `tun${pair}-${slot}` : null,
    localAddress: hasDevice ? `10.8.${pair}.${side === "server" ? 1 : 2}` : null,
    remoteAddress: isUp ? `10.8.${pair}.${side === "server" ? 2 : 1}` : null,
    peer: echo,
    bytesIn,
    bytesOut,
    observedMs,
  };
}

export function storagePort(site: SimSite, time: VirtualTime, isAlive: () => boolean): StoragePort {
  return {
    load: (name, done) => time.post(time.nowMs, () => {
      if (isAlive()) done(succeed(site.disk.get(name) ?? null));
    }),
    save: (name, format, done) => time.post(time.nowMs + 2, () => {
      if (!isAlive()) return;
      site.disk.set(name, format());
      done(succeed(null));
    }),
  };
}

function failure(code: string, message: string): PortFailure {
  return { code, message, retryable: false };
}
