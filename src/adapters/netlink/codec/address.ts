/**
 * IP addresses as texts and as the 16 bytes of `xfrm_address_t`, in network order; an IPv4 address
 * has the first four. A text that is no address is the caller's bug: configuration is validated
 * before it comes here.
 */
import type { Family } from "./model.js";

export const addressBytes = 16;

/** Writes all 16 bytes. */
export function writeAddress(bytes: Uint8Array, start: number, family: Family, text: string): void {
  if (family === "ipv4") {
    bytes.fill(0, start + 4, start + addressBytes);
    writeIpv4(bytes, start, text);
    return;
  }
  writeIpv6(bytes, start, text);
}

export function readAddress(bytes: Uint8Array, start: number, family: Family): string {
  return family === "ipv4" ? readIpv4(bytes, start) : readIpv6(bytes, start);
}

const dot = 46;
const zero = 48;

function writeIpv4(bytes: Uint8Array, start: number, text: string): void {
  let [at, value, digits] = [0, 0, 0];
  for (let i = 0; i <= text.length; i += 1) {
    const code = i === text.length ? dot : text.charCodeAt(i);
    if (code === dot) {
      if (digits === 0 || value > 255 || at === 4) return refuse(text);
      bytes[start + at] = value;
      [at, value, digits] = [at + 1, 0, 0];
    } else {
      if (code < zero || code > zero + 9 || digits === 3) return refuse(text);
      [value, digits] = [value * 10 + code - zero, digits + 1];
    }
  }
  if (at !== 4) refuse(text);
}

function writeIpv6(bytes: Uint8Array, start: number, text: string): void {
  const halves = text.split("::");
  if (halves.length > 2) return refuse(text);
  const head = groupsOf(halves[0] ?? "", text);
  const tail = groupsOf(halves[1] ?? "", text);
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return refuse(text);
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail];
  groups.forEach((group, index) => {
    bytes[start + 2 * index] = group >>> 8;
    bytes[start + 2 * index + 1] = group & 0xff;
  });
}

/** Sixteen-bit groups of one side of `::`. The last may be a dotted IPv4 address. */
function groupsOf(side: string, text: string): number[] {
  if (side === "") return [];
  return side.split(":").flatMap((part, index, parts) => {
    if (index === parts.length - 1 && part.includes(".")) return dottedGroups(part);
    if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return refuse(text);
    return [Number.parseInt(part, 16)];
  });
}

function dottedGroups(part: string): number[] {
  const four = new Uint8Array(4);
  writeIpv4(four, 0, part);
  return [four[0]! * 256 + four[1]!, four[2]! * 256 + four[3]!];
}

function refuse(text: string): never {
  throw new RangeError(`not an IP address: ${text}`);
}

function readIpv4(bytes: Uint8Array, start: number): string {
  return `${bytes[start]}.${bytes[start + 1]}.${bytes[start + 2]}.${bytes[start + 3]}`;
}

/** The canonical text (RFC 5952): lower case, the longest run of zero groups as `::`. */
function readIpv6(bytes: Uint8Array, start: number): string {
  const groups = Array.from(
    { length: 8 },
    (_, index) => bytes[start + 2 * index]! * 256 + bytes[start + 2 * index + 1]!,
  );
  const run = longestZeroRun(groups);
  const hex = (some: readonly number[]): string => some.map((group) => group.toString(16)).join(":");
  if (run.length < 2) return hex(groups);
  return `${hex(groups.slice(0, run.at))}::${hex(groups.slice(run.at + run.length))}`;
}

function longestZeroRun(groups: readonly number[]): { at: number; length: number } {
  let longest = { at: 0, length: 0 };
  let length = 0;
  groups.forEach((group, index) => {
    length = group === 0 ? length + 1 : 0;
    if (length > longest.length) longest = { at: index - length + 1, length };
  });
  return longest;
}
