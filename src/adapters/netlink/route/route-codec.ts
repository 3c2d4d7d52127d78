/** Routes as netlink messages (struct rtmsg and its attributes), with one hop or several. */
import { readAddress, writeAddress } from "../codec/address.js";
import type { MessageBatch } from "../codec/batch.js";
import { addressFamilyNumber, netlinkFlag } from "../codec/constants.js";
import type { Family } from "../codec/model.js";
import { readAttributes, readWord, viewOf, type Attributes } from "../codec/received.js";
import {
  deadHop,
  fibMatch,
  gatewayRoutes,
  mainTable,
  routeAttribute,
  routeMessage,
  routeStructBytes,
  scope,
  unicast,
  type RouteOwner,
} from "./constants.js";
import type { Hop, Prefix, Route } from "./model.js";

export type OurRoute = Pick<Route, "destination" | "preferredSource" | "hops">;

/**
 * Makes the route or replaces the one to the same destination, in one step: no packet finds none. Several hops of an IPv6 route
 * each need a gateway (Linux 6.18: "Device only routes can not be added for IPv6 using the multipath API").
 */
export function appendReplaceRoute(batch: MessageBatch, route: OurRoute, owner = gatewayRoutes): void {
  const { family } = route.destination;
  const isDirect = family === "ipv4" && route.hops.every(({ gateway }) => gateway === null);
  batch.beginMessage(routeMessage.newRoute, netlinkFlag.request | netlinkFlag.create | netlinkFlag.replace);
  appendHeader(batch, route.destination, owner, isDirect ? scope.link : scope.universe);
  appendAddress(batch, routeAttribute.destination, family, route.destination.address);
  if (route.preferredSource !== null)
    appendAddress(batch, routeAttribute.preferredSource, family, route.preferredSource);
  appendHops(batch, family, route.hops);
  batch.endMessage();
}

/** Of our routes only: the kernel compares the protocol. */
export function appendDeleteRoute(batch: MessageBatch, destination: Prefix, owner = gatewayRoutes): void {
  batch.beginMessage(routeMessage.deleteRoute, netlinkFlag.request);
  appendHeader(batch, destination, owner, 255);
  appendAddress(batch, routeAttribute.destination, destination.family, destination.address);
  batch.endMessage();
}

/** All routes of both families. */
export function appendListRoutes(batch: MessageBatch): void {
  batch.beginMessage(routeMessage.getRoute, netlinkFlag.request | netlinkFlag.dump);
  batch.reserve(routeStructBytes.route);
  batch.endMessage();
}

/** Asks which entry of the table the first address of a network falls under. */
export function appendMatchRoute(batch: MessageBatch, destination: Prefix): void {
  batch.beginMessage(routeMessage.getRoute, netlinkFlag.request);
  const start = batch.reserve(routeStructBytes.route);
  batch.bytes[start] = addressFamilyNumber[destination.family];
  batch.bytes[start + 1] = addressLength(destination.family) * 8;
  batch.view.setUint32(start + 8, fibMatch, true);
  appendAddress(batch, routeAttribute.destination, destination.family, destination.address);
  batch.endMessage();
}

/** @returns null for what is no unicast route: unreachable, local and the like have no hop */
export function readRoute(payload: Uint8Array): Route | null {
  if (payload.length < routeStructBytes.route || payload[7] !== unicast) return null;
  const family = payload[0] === addressFamilyNumber.ipv6 ? "ipv6" : "ipv4";
  const attributes = readAttributes(payload, routeStructBytes.route);
  const address = readOptionalAddress(attributes, routeAttribute.destination, family);
  const unset = family === "ipv4" ? "0.0.0.0" : "::";
  return {
    destination: { family, address: address ?? unset, length: payload[1]! },
    protocol: payload[5]!,
    preferredSource: readOptionalAddress(attributes, routeAttribute.preferredSource, family),
    hops: readHops(attributes, family),
  };
}

/** struct rtmsg: family, lengths, TOS, table, protocol, scope, type, flags. */
function appendHeader(batch: MessageBatch, { family, length }: Prefix, { protocol, metric }: RouteOwner, reach: number): void {
  const start = batch.reserve(routeStructBytes.route);
  batch.bytes.set([addressFamilyNumber[family], length, 0, 0, mainTable, protocol, reach, unicast], start);
  if (metric === null) return;
  batch.view.setUint32(batch.reserveAttribute(routeAttribute.metric, 4), metric, true);
}

function addressLength(family: Family): number {
  return family === "ipv4" ? 4 : 16;
}

function appendAddress(batch: MessageBatch, type: number, family: Family, text: string): void {
  const bytes = new Uint8Array(16);
  writeAddress(bytes, 0, family, text);
  const size = addressLength(family);
  const start = batch.reserveAttribute(type, size);
  batch.bytes.set(bytes.subarray(0, size), start);
}

function appendHops(batch: MessageBatch, family: Family, hops: readonly Hop[]): void {
  const [only] = hops;
  if (hops.length === 1 && only !== undefined) {
    if (only.gateway !== null) appendAddress(batch, routeAttribute.gateway, family, only.gateway);
    const start = batch.reserveAttribute(routeAttribute.outputInterface, 4);
    batch.view.setUint32(start, only.interfaceIndex, true);
    return;
  }
  const gatewayBytes = 4 + addressLength(family);
  const size = hops.reduce(
    (sum, hop) => sum + routeStructBytes.nextHop + (hop.gateway === null ? 0 : gatewayBytes),
    0,
  );
  let at = batch.reserveAttribute(routeAttribute.multipath, size);
  for (const hop of hops) at = writeHop(batch, at, family, hop);
}

/** struct rtnexthop: length 2, flags 1, weight less one 1, interface 4; its attributes follow. */
function writeHop(batch: MessageBatch, start: number, family: Family, hop: Hop): number {
  const { view, bytes } = batch;
  view.setUint32(start + 4, hop.interfaceIndex, true);
  let end = start + routeStructBytes.nextHop;
  if (hop.gateway !== null) {
    const size = addressLength(family);
    const address = new Uint8Array(16);
    writeAddress(address, 0, family, hop.gateway);
    view.setUint16(end, 4 + size, true);
    view.setUint16(end + 2, routeAttribute.gateway, true);
    bytes.set(address.subarray(0, size), end + 4);
    end += 4 + size;
  }
  view.setUint16(start, end - start, true);
  return end;
}

function readHops(attributes: Attributes, family: Family): readonly Hop[] {
  const several = attributes.get(routeAttribute.multipath);
  if (several !== undefined) return readMultipath(several, family);
  const interfaceIndex = readWord(attributes.get(routeAttribute.outputInterface));
  if (interfaceIndex === null) return [];
  return [{ interfaceIndex, gateway: readOptionalAddress(attributes, routeAttribute.gateway, family) }];
}

function readMultipath(bytes: Uint8Array, family: Family): readonly Hop[] {
  const view = viewOf(bytes);
  const hops: Hop[] = [];
  for (let at = 0; at + routeStructBytes.nextHop <= bytes.length; ) {
    const length = view.getUint16(at, true);
    if (length < routeStructBytes.nextHop || at + length > bytes.length) break;
    const attributes = readAttributes(bytes.subarray(at, at + length), routeStructBytes.nextHop);
    const gateway = readOptionalAddress(attributes, routeAttribute.gateway, family);
    const isDead = (bytes[at + 2]! & deadHop) !== 0;
    if (!isDead) hops.push({ interfaceIndex: view.getUint32(at + 4, true), gateway });
    at += (length + 3) & ~3;
  }
  return hops;
}

/** Null when it is absent or has another length. */
export function readOptionalAddress(attributes: Attributes, type: number, family: Family): string | null {
  const bytes = attributes.get(type);
  return bytes?.length === addressLength(family) ? readAddress(bytes, 0, family) : null;
}
