/**
 * Routes to the networks of peers, in tunnel mode: without one the kernel has no way by which a packet could meet a policy.
 * They follow the policies in the kernel: a network that an outbound policy of ours protects has a route there, by the way to
 * the peer, and one that none names has none. Marked by a protocol number of their own and behind anybody else's in metric,
 * so that no other route is ever replaced, hidden or removed (S6).
 */
import type { Operation } from "../../../core/sa.js";
import type { Log } from "../../../ports/log.js";
import { formatCidr, parseCidr } from "../../cidr.js";
import { PortError } from "../../port-error.js";
import type { Family, ListedPolicy } from "../codec/model.js";
import { tunnelRoutes as owner } from "../route/constants.js";
import type { Hop, Prefix, Route } from "../route/model.js";
import type { RouteNotification } from "../route/notification.js";
import { appendDeleteRoute, appendListRoutes, appendMatchRoute, appendReplaceRoute, readRoute } from "../route/route-codec.js";
import { kernelFailure } from "../socket/failures.js";
import type { Refused, RequestSocket } from "../socket/request-socket.js";

/** A network, and the peer's address through which it is reached. */
interface Wanted {
  readonly destination: Prefix;
  readonly outer: string;
}

/** Where peers and the devices towards them are: it says when to look again, and is never the truth. */
interface Hints {
  readonly peers: ReadonlySet<string>;
  readonly devices: ReadonlySet<number>;
}

/** asm-generic/errno.h: what was to be deleted is gone. */
const absent: readonly number[] = [2, 3, 19];

export class TunnelRoutes {
  readonly #socket: RequestSocket;
  readonly #log: Log;
  /** As they were at the last look. */
  #hints: Hints = { peers: new Set(), devices: new Set() };

  /** @param socket of the routing part of netlink; closed with this */
  constructor(socket: RequestSocket, log: Log) {
    this.#socket = socket;
    this.#log = log;
  }

  /** Before a switch: the way is there when the first packet may take it. */
  async open(operations: readonly Operation[]): Promise<void> {
    const wanted = operations.flatMap(wantedBy);
    if (wanted.length === 0) return;
    await this.#told(async () => {
      const found = await this.#socket.getMany(wanted.map(({ destination }) => destination), appendMatchRoute, readRoute);
      const ours = found.map((answer) => ("found" in answer ? answer.found : null)).filter(isOurs);
      const { peers, devices } = await this.#replace(wanted, ours);
      this.#hints = { peers: new Set([...this.#hints.peers, ...peers]), devices: new Set([...this.#hints.devices, ...devices]) };
    });
  }

  /** @param policies all of ours */
  async keep(policies: readonly ListedPolicy[]): Promise<void> {
    await this.#told(async () => {
      const ours = await listTunnelRoutes(this.#socket);
      const outbound = policies.filter(isToNetwork);
      this.#hints = await this.#replace(outbound.flatMap(wantedOf), ours);
      const named = new Set(outbound.map(({ selector }) => formatCidr(selector.destination)));
      await removeTunnelRoutes(this.#socket, ours.filter(({ destination }) => !named.has(formatCidr(destination))));
    });
  }

  get portId(): number {
    return this.#socket.portId;
  }

  /** Was it one of ours, or may it change the way to a peer? Routes to other single hosts come and go all the time. */
  mayConcern(heard: RouteNotification): boolean {
    if (heard.kind === "device") return this.#hints.devices.has(heard.index);
    const { family, address, length } = heard.route.destination;
    return isOurs(heard.route) || length < hostPrefix(family, address).length || this.#hints.peers.has(address);
  }

  close(): void {
    this.#socket.close();
  }

  /** @returns where their ways lead now */
  async #replace(wanted: readonly Wanted[], ours: readonly Route[]): Promise<Hints> {
    const devices = new Set<number>();
    const present = new Map(ours.map((route) => [formatCidr(route.destination), route.hops]));
    const byNetwork = [...new Map(wanted.map((one) => [formatCidr(one.destination), one])).values()];
    const asked = byNetwork.map(({ destination: { family }, outer }) => hostPrefix(family, outer));
    const ways = await this.#socket.getMany(asked, appendMatchRoute, readRoute);
    const routes = byNetwork.flatMap(({ destination, outer }, place) => {
      const answer = ways[place];
      const hop = answer !== undefined && "found" in answer ? hopTo(answer.found, outer) : null;
      if (hop !== null) devices.add(hop.interfaceIndex);
      const [before] = present.get(formatCidr(destination)) ?? [];
      return hop === null || sameHop(hop, before) ? [] : [{ destination, preferredSource: null, hops: [hop] }];
    });
    assertDone(await this.#socket.send(routes, (batch, route) => appendReplaceRoute(batch, route, owner)), []);
    if (routes.length > 0) this.#log.write("debug", "routes to peers' networks were set", { routes: routes.length });
    return { peers: new Set(wanted.map(({ outer }) => outer)), devices };
  }

  /** What the kernel refuses is tried again with the next dump; packets without a route are refused at their source. */
  async #told(run: () => Promise<void>): Promise<void> {
    try {
      await run();
    } catch (cause) {
      if (!(cause instanceof PortError)) throw cause;
      const { code, message: why } = cause;
      this.#log.write("warn", "routes to peers' networks cannot be kept", { code, why });
    }
  }
}

/** All of ours in this network namespace, also what a dead agent left. @throws PortError */
export async function listTunnelRoutes(socket: RequestSocket): Promise<readonly Route[]> {
  const found: Route[] = [];
  const visit = (payload: Uint8Array): void => {
    const route = readRoute(payload);
    if (isOurs(route)) found.push(route);
  };
  await socket.dump(appendListRoutes, visit, () => (found.length = 0));
  return found;
}

/** @throws PortError */
export async function removeTunnelRoutes(socket: RequestSocket, routes: readonly Route[]): Promise<void> {
  const destinations = routes.map(({ destination }) => destination);
  assertDone(await socket.send(destinations, (batch, one) => appendDeleteRoute(batch, one, owner)), absent);
}

function isOurs(route: Route | null): route is Route {
  return route?.protocol === owner.protocol;
}

function assertDone(refused: readonly Refused[], harmless: readonly number[]): void {
  const fault = refused.find(({ error }) => !harmless.includes(error.errno));
  if (fault !== undefined) throw kernelFailure(fault.error);
}

function wantedBy(operation: Operation): readonly Wanted[] {
  if (operation.kind !== "set-policy") return [];
  const { action, remote, family } = operation.policy;
  const prefix = parseCidr(remote.address);
  if (action.kind !== "protect" || action.outer === undefined || prefix === null) return [];
  return [{ destination: { family, ...prefix }, outer: action.outer }];
}

function wantedOf({ selector: { family, destination }, templates }: ListedPolicy): readonly Wanted[] {
  const [template] = templates;
  return template === undefined ? [] : [{ destination: { family, ...destination }, outer: template.destination }];
}

/** Probes go to the peer's own address. */
function isToNetwork({ direction, selector }: ListedPolicy): boolean {
  return direction === "out" && selector.protocol === 0;
}

function hostPrefix(family: Family, address: string): Prefix {
  return { family, address, length: family === "ipv4" ? 32 : 128 };
}

/** By the same way as the peer itself: a neighbour is its own gateway. */
function hopTo(way: Route | null, outer: string): Hop | null {
  const [hop] = way?.hops ?? [];
  return hop === undefined ? null : { interfaceIndex: hop.interfaceIndex, gateway: hop.gateway ?? outer };
}

function sameHop(one: Hop, other: Hop | undefined): boolean {
  return one.interfaceIndex === other?.interfaceIndex && one.gateway === other.gateway;
}
