/** What the routing part of netlink tells of: routes of the main table that come or go, and devices that change. */
import type { ReceivedMessage } from "../codec/received.js";
import { viewOf } from "../codec/received.js";
import type { Channel } from "../socket/notification-socket.js";
import { netlinkProtocol } from "../socket/descriptor.js";
import { mainTable, routeGroup, routeMessage, routeStructBytes } from "./constants.js";
import type { Route } from "./model.js";
import { readRoute } from "./route-codec.js";

export type RouteNotification =
  | { readonly kind: "route"; readonly route: Route }
  | { readonly kind: "device"; readonly index: number };

export const routeChannel: Channel<RouteNotification> = {
  protocol: netlinkProtocol.route,
  groups: Object.values(routeGroup),
  read: readRouteNotification,
};

function readRouteNotification({ type, payload }: ReceivedMessage): RouteNotification | null {
  switch (type) {
    case routeMessage.newRoute:
    case routeMessage.deleteRoute: {
      const route = payload[4] === mainTable ? readRoute(payload) : null;
      return route === null ? null : { kind: "route", route };
    }
    case routeMessage.newLink:
    case routeMessage.deleteLink:
      return payload.length < routeStructBytes.link ? null : { kind: "device", index: viewOf(payload).getInt32(4, true) };
    default:
      return null;
  }
}
