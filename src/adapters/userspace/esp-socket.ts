/**
 * The UDP socket of one dataplane, bound to its loopback address. It carries what it is given and
 * judges nothing. Its receive buffer is as large as the system allows, because a datagram that
 * finds it full is lost.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { isIPv6 } from "node:net";
import type { Endpoint } from "../../core/sa.js";
import { PortError } from "../port-error.js";

export interface BoundEndpoint extends Endpoint {
  readonly udpPort: number;
}

/**
 * 64 MiB; Linux cuts a request down to net.core.rmem_max, other systems refuse it and get the half.
 */
const receiveBufferBytesMax = 64 * 1024 * 1024;
const receiveBufferBytesMin = 64 * 1024;

export class EspSocket {
  readonly #socket: Socket;
  readonly local: BoundEndpoint;
  #closed: Promise<void> | null = null;

  private constructor(socket: Socket, local: BoundEndpoint) {
    this.#socket = socket;
    this.local = local;
  }

  /** Binds; port 0 takes a free one. @throws PortError `DATAPLANE_BIND_FAILED` */
  static async bind(wanted: BoundEndpoint): Promise<EspSocket> {
    const socket = createSocket({
      type: isIPv6(wanted.address) ? "udp6" : "udp4",
      lookup: lookupLiteral,
    });
    try {
      // Listens first: with a lookup that answers at once, "listening" comes during the call of
      // bind.
      const listening = once(socket, "listening");
      socket.bind(wanted.udpPort, wanted.address);
      await listening;
    } catch (cause) {
      socket.close();
      const message = `cannot bind UDP ${wanted.address} port ${wanted.udpPort}: ${String(cause)}`;
      throw new PortError("DATAPLANE_BIND_FAILED", message, true, { cause });
    }
    growReceiveBuffer(socket);
    return new EspSocket(socket, { address: wanted.address, udpPort: socket.address().port });
  }

  /**
   * Starts to hand over datagrams. `failed` gets errors of the socket itself; the socket stays
   * open.
   */
  receive(arrived: (datagram: Buffer, source: Endpoint) => void, failed: () => void): void {
    this.#socket.on("error", failed);
    this.#socket.on("message", (datagram, from) =>
      arrived(datagram, { address: from.address, udpPort: from.port }),
    );
  }

  /** Sends one datagram; `failed` is called, later, when the system refused it. */
  send(datagram: Buffer, remote: BoundEndpoint, failed: () => void): void {
    this.#socket.send(datagram, remote.udpPort, remote.address, (error) => {
      if (error !== null) failed();
    });
  }

  /** Calling it again is harmless. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => this.#socket.close(resolve));
    return this.#closed;
  }
}

/** Addresses are literal: without this, Node.js sends each datagram through the resolver. */
function lookupLiteral(
  address: string,
  _options: unknown,
  found: (error: Error | null, address: string, family: number) => void,
): void {
  found(null, address, isIPv6(address) ? 6 : 4);
}

function growReceiveBuffer(socket: Socket): void {
  for (let bytes = receiveBufferBytesMax; bytes >= receiveBufferBytesMin; bytes /= 2) {
    try {
      socket.setRecvBufferSize(bytes);
      return;
    } catch {
      // Too much for this system (ENOBUFS on BSD and macOS): try half.
    }
  }
}
