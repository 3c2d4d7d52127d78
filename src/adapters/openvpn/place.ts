/**
 * Where the gateways of a link live on this machine: device, port and tunnel addresses, all from the link's settings and the place
 * (pair and slot) alone, so that both ends come to the same without asking. A pair has two places: the new gateway takes the
 * one that the old has not.
 */
import { createHash } from "node:crypto";
import { assert } from "../../core/assert.js";
import type { LinkName, PairIndex, Side } from "../../core/gateway/link.js";
import { limits } from "../../core/limits.js";
import type { Prefix } from "../netlink/route/model.js";

export interface LinkSettings {
  readonly name: LinkName;
  /** Of the side that listens: it binds this address, and the other one dials it. */
  readonly address: string;
  /** Of pair 0, slot 0; `placesMax` ports from here on. */
  readonly firstPort: number;
  /** First address of an IPv4 network of `placesMax` pairs of addresses, the same at both ends. */
  readonly tunnelNetwork: string;
  /** Behind the other site: the route leads there. IPv4, since Linux takes no route of several devices for IPv6. */
  readonly remoteNetworks: readonly Prefix[];
  /** Source address of what this machine itself sends there. */
  readonly preferredSource: string | null;
}

export interface Place {
  /** At most 15 characters (IFNAMSIZ). */
  readonly device: string;
  readonly port: number;
  readonly localAddress: string;
  readonly remoteAddress: string;
}

export const placesMax = 2 * limits.gatewayPairsMax;

export function placeOf(settings: LinkSettings, side: Side, pair: PairIndex, slot: 0 | 1): Place {
  const index = 2 * pair + slot;
  const server = addressAfter(settings.tunnelNetwork, 2 * index);
  const client = addressAfter(settings.tunnelNetwork, 2 * index + 1);
  return {
    device: `${devicePrefix(settings.name)}${index.toString(36)}`,
    port: settings.firstPort + index,
    localAddress: side === "server" ? server : client,
    remoteAddress: side === "server" ? client : server,
  };
}

/** Two links whose names share eight hex digits of a hash would share devices: the configuration refuses them. */
export function devicePrefix(link: LinkName): string {
  return `sg${createHash("sha256").update(link).digest("hex").slice(0, 8)}-`;
}

function addressAfter(first: string, distance: number): string {
  const bytes = first.split(".").map(Number);
  const last = bytes[3]! + distance;
  assert(last <= 255, "a tunnel network begins where all its addresses share three bytes");
  return `${bytes[0]}.${bytes[1]}.${bytes[2]}.${last}`;
}
