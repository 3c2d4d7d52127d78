/**
 * Numbers of the routing part of netlink that gateways and tunnels use (linux/rtnetlink.h, linux/if_link.h, linux/if_addr.h). All fields are in
 * the host's byte order but addresses.
 */
export const routeMessage = {
  newLink: 16,
  deleteLink: 17,
  getLink: 18,
  getAddresses: 22,
  newRoute: 24,
  deleteRoute: 25,
  getRoute: 26,
} as const;

/** RTNLGRP_*. */
export const routeGroup = { link: 1, ipv4Route: 7, ipv6Route: 11 } as const;

/** enum rtattr_type_t. */
export const routeAttribute = {
  destination: 1,
  outputInterface: 4,
  gateway: 5,
  metric: 6,
  preferredSource: 7,
  multipath: 9,
  table: 15,
} as const;

/** IFLA_*. */
export const linkAttribute = { name: 3, mtu: 4, operationalState: 16, statistics64: 23 } as const;

/** IFA_*. `address` is the peer's on a point-to-point device. */
export const addressAttribute = { address: 1, local: 2 } as const;

export const mainTable = 254;
/** RT_SCOPE_LINK: IPv4 routes that leave by a device without a gateway; IPv6 takes only RT_SCOPE_UNIVERSE. */
export const scope = { universe: 0, link: 253 } as const;
export const unicast = 1;
/** RTM_F_FIB_MATCH: answer with the entry of the table, not with the way that one packet would take. */
export const fibMatch = 0x2000;

/** RTNH_F_DEAD: its device is gone; the kernel sends nothing there and keeps the entry beside the living ones. */
export const deadHop = 1;

/**
 * Marks our routes, as `proto` in `ip route`. The numbers up to 17 and a few named ones are taken
 * (/etc/iproute2/rt_protos); this one is not.
 */
export const ourRouteProtocol = 83;

/** Whose a route is, and how far behind others to the same destination it stands; null for the family's default. */
export interface RouteOwner {
  readonly protocol: number;
  readonly metric: number | null;
}

export const gatewayRoutes: RouteOwner = { protocol: ourRouteProtocol, metric: null };
/** To networks of peers, in tunnel mode. */
export const tunnelRoutes: RouteOwner = { protocol: 84, metric: 0x5350 };

/** Sizes of rtmsg, rtnexthop, ifinfomsg and ifaddrmsg. */
export const routeStructBytes = { route: 12, nextHop: 8, link: 16, address: 8 } as const;
