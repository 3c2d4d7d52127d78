/**
 * UDP sockets of probes. They are opened, bound and connected within the call: the network namespace is the caller's, and what a
 * policy does to a packet is done when the call returns. Node.js looks an address up first, and would do so later.
 */
import { createSocket, type Socket } from "node:dgram";
import type { AddressFamily } from "../../../core/node.js";

export interface Place {
  readonly address: string;
  readonly port: number;
}

/** Runs in the network namespace of the node's addresses. */
export type Within = <T>(run: () => T) => T;

export const here: Within = (run) => run();

/** Bound when this returns, or `failed` was called. */
export function openSocket(family: AddressFamily, local: Place, failed: (cause: NodeJS.ErrnoException) => void): Socket {
  const number = family === "ipv4" ? 4 : 6;
  const socket = createSocket({
    type: `udp${number}`,
    ipv6Only: family === "ipv6",
    lookup: (address, _options, found) => found(null, address, number),
  });
  socket.on("error", failed);
  return socket.bind({ address: local.address, port: local.port, exclusive: true });
}
