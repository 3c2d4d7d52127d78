/** Networks such as 10.0.0.0/8: one spelling for each, which addresses are in them, and which overlap. */
import { isIP } from "node:net";
import type { AddressFamily } from "../core/node.js";
import { readAddress, writeAddress } from "./netlink/codec/address.js";
import type { Prefix } from "./netlink/codec/model.js";

/** Null for what is none, and for one with host bits. */
export function parseCidr(text: string): Prefix | null {
  const [, address = "", digits = ""] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const family = familyOf(address);
  const length = Number(digits);
  if (family === null || length > (family === "ipv4" ? 32 : 128)) return null;
  const bytes = bytesOf(address, family);
  if (bytes.some((byte, place) => (byte & ~networkMask(place, length)) !== 0)) return null;
  return { address: readAddress(bytes, 0, family), length };
}

/** Null as `parseCidr`. */
export function canonicalCidr(text: string): string | null {
  const prefix = parseCidr(text);
  return prefix === null ? null : formatCidr(prefix);
}

export function formatCidr({ address, length }: Prefix): string {
  return `${address}/${length}`;
}

/** Have they an address in common? Then one is within the other. */
export function overlap(one: Prefix, other: Prefix): boolean {
  return one.length <= other.length ? contains(one, other.address) : contains(other, one.address);
}

export function contains({ address, length }: Prefix, host: string): boolean {
  const family = familyOf(host);
  if (family === null || family !== familyOf(address)) return false;
  const [network, member] = [bytesOf(address, family), bytesOf(host, family)];
  return network.every((byte, place) => ((byte ^ member[place]!) & networkMask(place, length)) === 0);
}

function familyOf(address: string): AddressFamily | null {
  const version = isIP(address);
  if (version === 0) return null;
  return version === 4 ? "ipv4" : "ipv6";
}

/** Sixteen, of which an IPv4 address has the first four. */
function bytesOf(address: string, family: AddressFamily): Uint8Array {
  const bytes = new Uint8Array(16);
  writeAddress(bytes, 0, family, address);
  return bytes;
}

/** The bits of a byte that belong to a network of this length. */
function networkMask(place: number, length: number): number {
  const bits = Math.min(8, Math.max(0, length - 8 * place));
  return 0xff & ~(0xff >> bits);
}
