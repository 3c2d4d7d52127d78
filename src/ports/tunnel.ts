/**
 * What a site can do with the gateways of its links: an OpenVPN process, tun device, port and key for each pair and
 * generation, and the route that leads through them. Private keys are made behind this port and never leave it. Every
 * operation can be done again: making what is there and removing what is not succeed. Nothing is reloaded in place.
 */
import type { Credentials, TrustRoot } from "../core/gateway/record.js";
import type { GatewayRef, Link, LinkName, PairIndex, Side } from "../core/gateway/link.js";
import type { LinkObservation, RouteView, SlotHop } from "../core/gateway/report.js";
import type { Done, Stop } from "./failure.js";

export type { GatewayRef } from "../core/gateway/link.js";
export type { LinkObservation, ObservedGateway, SlotHop } from "../core/gateway/report.js";

export interface TunnelPort {
  /** Makes the private key of this generation unless there is one, and the CSR for it: the same key gives the same CSR. */
  prepare(gateway: GatewayRef, done: Done<string>): void;
  /**
   * Stores the certificates beside the key and starts the process, unless it runs with these. Other gateways are not
   * touched. Codes: `GATEWAY_KEY_MISSING` when there is no key (the hub then plans anew), `GATEWAY_CREDENTIALS_REFUSED` when
   * certificate and key do not belong together, `OPENVPN_START_FAILED`. It ends when the process runs, not when it is up.
   */
  start(gateway: GatewayRef, credentials: Credentials, roots: readonly TrustRoot[], done: Done<null>): void;
  /**
   * Reads everything of the link: processes, devices, counters, route. Through the gateways listed in `probe` it also
   * sends probes, and waits for the answers for a bounded time; the others are not probed, as probes are counted as
   * traffic.
   */
  observe(link: Link, probe: readonly GatewayRef[], done: Done<LinkObservation>): void;
  /**
   * Replaces the route to the other site in one step, reads it back and returns what was read. A route of someone else
   * in our place is not touched and returned as `foreign`. `hops` is never empty: without a hop the route stays.
   */
  replaceRoute(link: Link, side: Side, hops: readonly SlotHop[], done: Done<RouteView>): void;
  /** Stops the process, removes its device, wipes key and certificates. */
  remove(link: LinkName, pair: PairIndex, number: number, done: Done<null>): void;
  /** Takes our route to the other site away; for a link that is no longer wanted. */
  removeRoute(link: LinkName, done: Done<null>): void;
  /** Tells that something changed by itself (a handshake, the end of a process): a reason to observe. */
  watch(changed: (link: LinkName) => void): Stop;
}
