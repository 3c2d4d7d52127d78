/** UDP through blocking system calls, so that a socket can be opened in a namespace and used outside. */
import koffi from "koffi";
import { writeAddress } from "../../../src/adapters/netlink/codec/address.js";
import { addressFamilyNumber, encapsulationEspInUdp } from "../../../src/adapters/netlink/codec/constants.js";
import type { Family } from "../../../src/adapters/netlink/codec/model.js";

const library = koffi.load(null);
const socket = library.func("int socket(int, int, int)");
const bind = library.func("int bind(int, const void *, uint32_t)");
const setsockopt = library.func("int setsockopt(int, int, int, const void *, uint32_t)");
const sendto = library.func("intptr_t sendto(int, const void *, size_t, int, const void *, uint32_t)");
const recv = library.func("intptr_t recv(int, void *, size_t, int)");
const close = library.func("int close(int)");

const datagram = 2;
const raw = 3;
const dontWait = 0x40;
const udpLevel = 17;
/** UDP_ENCAP. */
const encapsulationOption = 100;

export interface DatagramSocket {
  /** @returns 0 or the error number */
  send(text: string, destination: string, port: number): number;
  /** What has arrived. */
  receiveAll(): readonly string[];
  close(): void;
}

/** Call it in the namespace. */
export function openDatagramSocket(family: Family, address: string, port: number): DatagramSocket {
  return openSocket(family, address, port, datagram, 0);
}

/** Of an IP protocol of its own, without ports. Call it in the namespace. */
export function openRawSocket(family: Family, address: string, protocol: number): DatagramSocket {
  return openSocket(family, address, 0, raw, protocol);
}

function openSocket(
  family: Family,
  address: string,
  port: number,
  type: number,
  protocol: number,
): DatagramSocket {
  const fd = checked(socket(addressFamilyNumber[family], type, protocol)) as number;
  const local = socketAddress(family, address, port);
  checked(bind(fd, local, local.length));
  return {
    send(text, destination, remotePort) {
      const content = Buffer.from(text);
      const remote = socketAddress(family, destination, remotePort);
      const sent = sendto(fd, content, content.length, dontWait, remote, remote.length) as number;
      return sent >= 0 ? 0 : koffi.errno();
    },
    receiveAll: () => receiveAll(fd),
    close: () => void close(fd),
  };
}

/** The socket on which the kernel decapsulates ESP in UDP. Call it in the namespace. */
export function openEncapsulationSocket(family: Family, port: number): { close(): void } {
  const fd = checked(socket(addressFamilyNumber[family], datagram, 0)) as number;
  const local = socketAddress(family, family === "ipv4" ? "0.0.0.0" : "::", port);
  checked(bind(fd, local, local.length));
  const value = new Uint8Array(new Uint32Array([encapsulationEspInUdp]).buffer);
  checked(setsockopt(fd, udpLevel, encapsulationOption, value, value.length));
  return { close: () => void close(fd) };
}

function receiveAll(fd: number): string[] {
  const buffer = Buffer.alloc(2_048);
  const texts: string[] = [];
  for (;;) {
    const length = recv(fd, buffer, buffer.length, dontWait) as number;
    if (length < 0) return texts;
    texts.push(buffer.toString("utf8", 0, length));
  }
}

/** struct sockaddr_in, or sockaddr_in6. */
export function socketAddress(family: Family, address: string, port: number): Uint8Array {
  const bytes = new Uint8Array(family === "ipv4" ? 24 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, addressFamilyNumber[family], true);
  view.setUint16(2, port);
  writeAddress(bytes, family === "ipv4" ? 4 : 8, family, address);
  return family === "ipv4" ? bytes.subarray(0, 16) : bytes;
}

function checked(result: unknown): unknown {
  if ((result as number) < 0) throw new Error(`a system call failed with ${koffi.errno()}`);
  return result;
}
