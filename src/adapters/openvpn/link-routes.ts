/**
 * The routes of one link: one for each network behind the other site, all with the same hops. They carry our mark; what somebody else
 * put in their place is told and not touched.
 */
import type { PairIndex } from "../../core/gateway/link.js";
import type { RouteHop, RouteView } from "../../core/gateway/report.js";
import { ourRouteProtocol } from "../netlink/route/constants.js";
import type { Prefix, Route } from "../netlink/route/model.js";
import type { RouteTable } from "../netlink/route/route-table.js";
import { PortError } from "../port-error.js";
import type { LinkSettings } from "./place.js";

export class LinkRoutes {
  readonly #table: RouteTable;
  readonly #settings: LinkSettings;

  constructor(table: RouteTable, settings: LinkSettings) {
    this.#table = table;
    this.#settings = settings;
  }

  /**
   * Nothing is changed while any of the places is somebody else's.
   * @throws PortError `GATEWAY_DEVICE_MISSING`
   */
  async replace(deviceNames: readonly string[]): Promise<void> {
    const hops = [];
    for (const name of deviceNames) {
      const device = await this.#table.device(name);
      if (device === null) throw new PortError("GATEWAY_DEVICE_MISSING", `there is no device ${name} to route through`, true);
      hops.push({ interfaceIndex: device.index, gateway: null });
    }
    if ((await this.#findForeign()) !== null) return;
    for (const destination of this.#settings.remoteNetworks)
      await this.#table.replace({ destination, preferredSource: this.#settings.preferredSource, hops });
  }

  async remove(): Promise<void> {
    for (const destination of this.#settings.remoteNetworks) await this.#table.remove(destination);
  }

  /**
   * The hops of all networks together: one that still leads through an old gateway is seen although the others do not. Where only
   * some of the networks have our route the rest goes another way, so that what is there is not `hops` of the link.
   * @param owners which generation each device belongs to
   */
  async view(owners: ReadonlyMap<string, RouteHop>): Promise<RouteView> {
    const foreign = await this.#findForeign();
    if (foreign !== null) return { kind: "foreign", what: foreign };
    const names = new Map((await this.#table.devices()).map(({ index, name }) => [index, name]));
    const hops = new Map<string, { readonly pair: PairIndex; readonly number: number }>();
    let missing = 0;
    for (const destination of this.#settings.remoteNetworks) {
      const route = await this.#table.match(destination);
      if (route === null || !isAt(route, destination)) {
        missing += 1;
        continue;
      }
      for (const { interfaceIndex } of route.hops) {
        const name = names.get(interfaceIndex) ?? `device ${interfaceIndex}`;
        const owner = owners.get(name);
        if (owner === undefined) return { kind: "foreign", what: `${textOf(destination)} leads to ${name}, which is no gateway of the link` };
        hops.set(name, owner);
      }
    }
    const isPartial = missing > 0 && missing < this.#settings.remoteNetworks.length;
    return isPartial ? { kind: "unknown" } : { kind: "hops", hops: [...hops.values()] };
  }

  /** A route of somebody else to one of the networks, or into it. */
  async #findForeign(): Promise<string | null> {
    for (const destination of this.#settings.remoteNetworks) {
      const route = await this.#table.match(destination);
      if (route === null || route.protocol === ourRouteProtocol) continue;
      if (route.destination.length >= destination.length)
        return `${textOf(route.destination)} is a route of protocol ${route.protocol}`;
    }
    return null;
  }
}

function isAt(route: Route, destination: Prefix): boolean {
  return route.protocol === ourRouteProtocol && route.destination.length === destination.length;
}

function textOf({ address, length }: Prefix): string {
  return `${address}/${length}`;
}
