/**
 * Datagrams that the kernel threw away because a UDP socket's receive buffer was full. Node.js
 * cannot see them, but /proc/net/udp and udp6 count them per socket (last column, Linux 2.6.27 and
 * newer). Elsewhere the answer is 0.
 */
import { readFileSync } from "node:fs";
import { endianness } from "node:os";
import type { Endpoint } from "../../core/sa.js";

/** Packets dropped so far at the socket bound to `local`, since it was bound. */
export function readReceiveDrops(local: Endpoint): number {
  const path = local.address === "::1" ? "/proc/net/udp6" : "/proc/net/udp";
  try {
    return parseReceiveDrops(readFileSync(path, "latin1"), local);
  } catch {
    return 0;
  }
}

/** Reads the `drops` column of the socket's line; 0 when it has none. */
export function parseReceiveDrops(table: string, local: Endpoint): number {
  const address = socketAddressOf(local);
  const line = table.split("\n").find((candidate) => candidate.trim().split(/\s+/)[1] === address);
  return line === undefined ? 0 : Number(line.trim().split(/\s+/).at(-1));
}

/**
 * `0100007F:1194`: the address in 4-byte words of the machine's own byte order, the port in
 * hexadecimal.
 */
function socketAddressOf(local: Endpoint): string {
  const address = bytesOf(local.address);
  if (endianness() === "LE") address.swap32();
  const port = (local.udpPort ?? 0).toString(16).padStart(4, "0");
  return `${address.toString("hex")}:${port}`.toUpperCase();
}

/** A dataplane's address is in 127/8, or ::1. */
function bytesOf(address: string): Buffer {
  if (address === "::1") return Buffer.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  return Buffer.from(address.split(".").map(Number));
}
