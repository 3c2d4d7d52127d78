/** Routes, devices and addresses as the kernel lists them. */
import type { Family } from "../codec/model.js";

export interface Prefix {
  readonly family: Family;
  /** The first address of the network. */
  readonly address: string;
  readonly length: number;
}

export interface Hop {
  readonly interfaceIndex: number;
  /** Null for a device that leads to one peer only. */
  readonly gateway: string | null;
}

export interface Route {
  readonly destination: Prefix;
  /** Who made it: `ourRouteProtocol`, or anybody. */
  readonly protocol: number;
  readonly preferredSource: string | null;
  /** Without those whose device is gone. */
  readonly hops: readonly Hop[];
}

export interface Device {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly isUp: boolean;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

export interface DeviceAddress {
  readonly interfaceIndex: number;
  readonly family: Family;
  readonly local: string;
  /** The other end's on a point-to-point device, else the same as `local`. */
  readonly peer: string;
}
