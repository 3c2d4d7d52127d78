/**
 * Sockets by system call, so that one can be opened inside a namespace and used from outside:
 * Node.js makes its own only after the current turn, when the thread has left.
 */
import type { AddressFamily } from "../../core/node.js";
import { writeAddress } from "../../adapters/netlink/codec/address.js";
import { addressFamilyNumber } from "../../adapters/netlink/codec/constants.js";
import { LabError } from "../lab-error.js";

export interface DatagramSocket {
  /** Does not wait. @returns 0 or the system's error number */
  send(content: Uint8Array, to: SocketAddress): number;
  /** All that has arrived. What `take` is given is valid until it returns. */
  receiveAll(take: (content: Buffer) => void): void;
  close(): void;
}

/** struct sockaddr_in or sockaddr_in6. */
export type SocketAddress = Uint8Array;

/** Each call is for the namespace that the thread is in. */
export interface Sockets {
  /** @throws LabError LAB_NETWORK_UNAVAILABLE */
  openDatagram(family: AddressFamily, address: string, port: number): DatagramSocket;
  /** @returns a descriptor that listens, for `Server.listen({ fd })`. @throws LabError */
  listenStream(family: AddressFamily, address: string, port: number): number;
  /** @returns a connected descriptor, for `new Socket({ fd })`. @throws LabError */
  connectStream(family: AddressFamily, from: string, to: string, port: number): number;
}

const kinds = { stream: 1, datagram: 2 } as const;
const closeOnExec = 0o2000000;
const dontWait = 0x40;
const socketLevel = 1;
/** SO_RCVBUFFORCE: beyond the system's limit, for a reader that is held up. */
const receiveBufferForced = 33;
const receiveBufferBytes = 8 * 1024 * 1024;
const datagramBytesMax = 65_536;
const backlog = 16;
const anyPort = 0;

interface Calls {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, bytes: number): number;
  connect(fd: number, address: Uint8Array, bytes: number): number;
  listen(fd: number, backlog: number): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, bytes: number): number;
  sendto(
    fd: number,
    content: Uint8Array,
    bytes: number,
    flags: number,
    address: Uint8Array,
    addressBytes: number,
  ): number;
  recv(fd: number, buffer: Uint8Array, bytes: number, flags: number): number;
  close(fd: number): number;
  errno(): number;
}

export async function loadSockets(): Promise<Sockets> {
  const calls = await loadCalls();
  return {
    openDatagram: (family, address, port) => openDatagram(calls, family, address, port),
    listenStream: (family, address, port) => listenStream(calls, family, address, port),
    connectStream: (family, from, to, port) => connectStream(calls, family, from, socketAddress(family, to, port)),
  };
}

async function loadCalls(): Promise<Calls> {
  const { default: koffi } = await import("koffi");
  const library = koffi.load(null);
  return {
    socket: library.func("int socket(int, int, int)"),
    bind: library.func("int bind(int, const void *, uint32_t)"),
    connect: library.func("int connect(int, const void *, uint32_t)"),
    listen: library.func("int listen(int, int)"),
    setsockopt: library.func("int setsockopt(int, int, int, const void *, uint32_t)"),
    sendto: library.func("intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)"),
    recv: library.func("intptr_t recv(int, void *, size_t, int)"),
    close: library.func("int close(int)"),
    errno: () => koffi.errno(),
  };
}

export function socketAddress(family: AddressFamily, address: string, port: number): SocketAddress {
  const bytes = new Uint8Array(family === "ipv4" ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, addressFamilyNumber[family], true);
  view.setUint16(2, port, false);
  writeAddress(bytes, family === "ipv4" ? 4 : 8, family, address);
  return bytes;
}

function openDatagram(
  calls: Calls,
  family: AddressFamily,
  address: string,
  port: number,
): DatagramSocket {
  const fd = openBound(calls, kinds.datagram, family, address, port);
  const size = new Uint8Array(new Uint32Array([receiveBufferBytes]).buffer);
  calls.setsockopt(fd, socketLevel, receiveBufferForced, size, size.length);
  const buffer = Buffer.alloc(datagramBytesMax);
  return {
    send: (content, to) => {
      const sent = calls.sendto(fd, content, content.length, dontWait, to, to.length);
      return sent >= 0 ? 0 : calls.errno();
    },
    receiveAll: (take) => {
      for (;;) {
        const length = calls.recv(fd, buffer, buffer.length, dontWait);
        if (length < 0) return;
        take(buffer.subarray(0, length));
      }
    },
    close: () => void calls.close(fd),
  };
}

function listenStream(calls: Calls, family: AddressFamily, address: string, port: number): number {
  const fd = openBound(calls, kinds.stream, family, address, port);
  return checked(calls, fd, calls.listen(fd, backlog), "listening");
}

/** Waits for the other end's kernel, which answers while nobody accepts. */
function connectStream(calls: Calls, family: AddressFamily, from: string, to: SocketAddress): number {
  const fd = openBound(calls, kinds.stream, family, from, anyPort);
  return checked(calls, fd, calls.connect(fd, to, to.length), "connecting");
}

function openBound(
  calls: Calls,
  kind: number,
  family: AddressFamily,
  address: string,
  port: number,
): number {
  const fd = openSocket(calls, kind, family);
  const local = socketAddress(family, address, port);
  return checked(calls, fd, calls.bind(fd, local, local.length), `binding ${address} ${port}`);
}

function openSocket(calls: Calls, kind: number, family: AddressFamily): number {
  const fd = calls.socket(addressFamilyNumber[family], kind | closeOnExec, 0);
  return checked(calls, fd, fd, `a socket of ${family}`);
}

/** @returns the descriptor, which is closed when the call failed */
function checked(calls: Calls, fd: number, result: number, what: string): number {
  if (result >= 0) return fd;
  const errno = calls.errno();
  if (fd >= 0) calls.close(fd);
  const message = `${what} was refused by the system (error ${errno})`;
  throw new LabError("LAB_NETWORK_UNAVAILABLE", message);
}
