/** Devices and their addresses as netlink messages (struct ifinfomsg, struct ifaddrmsg). */
import type { MessageBatch } from "../codec/batch.js";
import { addressFamilyNumber, netlinkFlag } from "../codec/constants.js";
import { readAttributes, readWord, viewOf } from "../codec/received.js";
import { readOptionalAddress } from "./route-codec.js";
import { addressAttribute, linkAttribute, routeMessage, routeStructBytes } from "./constants.js";
import type { Device, DeviceAddress } from "./model.js";

/** IFF_UP and IFF_RUNNING of net/if.h. */
const upAndRunning = 0x1 | 0x40;

export function appendGetDevice(batch: MessageBatch, name: string): void {
  batch.beginMessage(routeMessage.getLink, netlinkFlag.request);
  batch.reserve(routeStructBytes.link);
  const bytes = new TextEncoder().encode(name);
  const start = batch.reserveAttribute(linkAttribute.name, bytes.length + 1);
  batch.bytes.set(bytes, start);
  batch.endMessage();
}

export function appendListDevices(batch: MessageBatch): void {
  batch.beginMessage(routeMessage.getLink, netlinkFlag.request | netlinkFlag.dump);
  batch.reserve(routeStructBytes.link);
  batch.endMessage();
}

export function appendDeleteDevice(batch: MessageBatch, index: number): void {
  batch.beginMessage(routeMessage.deleteLink, netlinkFlag.request);
  const start = batch.reserve(routeStructBytes.link);
  batch.view.setInt32(start + 4, index, true);
  batch.endMessage();
}

export function appendListAddresses(batch: MessageBatch): void {
  batch.beginMessage(routeMessage.getAddresses, netlinkFlag.request | netlinkFlag.dump);
  batch.reserve(routeStructBytes.address);
  batch.endMessage();
}

/** Null when it is too short. */
export function readDevice(payload: Uint8Array): Device | null {
  if (payload.length < routeStructBytes.link) return null;
  const attributes = readAttributes(payload, routeStructBytes.link);
  const view = viewOf(payload);
  // struct rtnl_link_stats64: received packets, sent packets, received bytes, sent bytes.
  const statistics = attributes.get(linkAttribute.statistics64);
  const counter = (at: number): number =>
    statistics === undefined || statistics.length < at + 8
      ? 0
      : Number(viewOf(statistics).getBigUint64(at, true));
  return {
    index: view.getInt32(4, true),
    name: readText(attributes.get(linkAttribute.name)) ?? "",
    mtu: readWord(attributes.get(linkAttribute.mtu)) ?? 0,
    isUp: (view.getUint32(8, true) & upAndRunning) === upAndRunning,
    receivedBytes: counter(16),
    sentBytes: counter(24),
  };
}

export function readDeviceAddress(payload: Uint8Array): DeviceAddress | null {
  const family = payload[0] === addressFamilyNumber.ipv6 ? "ipv6" : "ipv4";
  const attributes = readAttributes(payload, routeStructBytes.address);
  const peer = readOptionalAddress(attributes, addressAttribute.address, family);
  if (peer === null) return null;
  const local = readOptionalAddress(attributes, addressAttribute.local, family) ?? peer;
  return { interfaceIndex: viewOf(payload).getUint32(4, true), family, local, peer };
}

/** UTF-8 up to the terminating zero. */
export function readText(bytes: Uint8Array | undefined): string | null {
  if (bytes === undefined) return null;
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}
