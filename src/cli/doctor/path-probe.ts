/**
 * The path to a peer, as a UDP packet of full size finds it: which address it leaves from, how large it
 * may be, and whether anybody answers that it cannot pass.
 */
import { setTimeout as pause } from "node:timers/promises";
import { addressFamilyNumber } from "../../adapters/netlink/codec/constants.js";
import { readAddress } from "../../adapters/netlink/codec/address.js";
import { socketAddress } from "../../adapters/netlink/decapsulation.js";
import type { Libc } from "../../adapters/netlink/socket/libc.js";
import { limits } from "../../core/limits.js";
import type { AddressFamily } from "../../core/node.js";
import type { PeerFacts, PeerPath } from "./facts.js";

/** sys/socket.h, linux/in.h, linux/in6.h. */
const datagramType = 2;
const closeOnExec = 0o2000000;
const dontWait = 0x40;
const sockets = {
  ipv4: { level: 0, mtuDiscover: 10, mtu: 14, headerBytes: 28, addressAt: 4 },
  ipv6: { level: 41, mtuDiscover: 23, mtu: 24, headerBytes: 48, addressAt: 8 },
} as const;
/** Never fragment, and believe what routers say of the path. */
const discoverDo = 2;
const errno = { notPermitted: 1, refused: 111, hostUnreachable: 113 } as const;
/** Where encapsulated ESP would go: any port will do, as nothing is to read it. */
const portDefault = 4_500;

export type Probed = Pick<PeerFacts, "path" | "isForbidden">;

export async function probePath(libc: Libc, address: string, udpPort: number | null): Promise<Probed> {
  const family: AddressFamily = address.includes(":") ? "ipv6" : "ipv4";
  const fd = libc.socket(addressFamilyNumber[family], datagramType | closeOnExec, 0);
  if (fd < 0) return notSent(libc.errno());
  try {
    const remote = socketAddress({ family, address, port: udpPort ?? portDefault });
    const discover = wordBytes(discoverDo);
    const { level, mtuDiscover } = sockets[family];
    libc.setsockopt(fd, level, mtuDiscover, discover, discover.length);
    if (libc.connect(fd, remote, remote.length) < 0) return notSent(libc.errno());
    return await probe(libc, fd, family);
  } finally {
    libc.close(fd);
  }
}

function notSent(number: number): Probed {
  return { path: null, isForbidden: number === errno.notPermitted };
}

async function probe(libc: Libc, fd: number, family: AddressFamily): Promise<Probed> {
  const routeMtu = readMtu(libc, fd, family);
  // It begins with four zeros, so that it is no ESP packet wherever it ends up (RFC 3948, 2.2).
  const content = new Uint8Array(Math.min(routeMtu, limits.doctorProbeBytesMax) - sockets[family].headerBytes);
  const isSent = libc.send(fd, content, content.length, dontWait) >= 0;
  const sendErrno = isSent ? 0 : libc.errno();
  if (sendErrno === errno.notPermitted) return notSent(sendErrno);
  await pause(limits.doctorProbeMs);
  const received = libc.recv(fd, new Uint8Array(1), 1, dontWait);
  const receiveErrno = received < 0 ? libc.errno() : 0;
  const answer = answerOf(isSent ? receiveErrno : sendErrno);
  const [source, pathMtu] = [readSource(libc, fd, family), readMtu(libc, fd, family)];
  return { path: { source, routeMtu, pathMtu, answer }, isForbidden: false };
}

function answerOf(number: number): PeerPath["answer"] {
  if (number === errno.refused) return "refused";
  return number === errno.hostUnreachable ? "unreachable" : "none";
}

function readMtu(libc: Libc, fd: number, family: AddressFamily): number {
  const value = new Uint8Array(4);
  const { level, mtu } = sockets[family];
  libc.getsockopt(fd, level, mtu, value, wordBytes(value.length));
  return new DataView(value.buffer).getUint32(0, true);
}

function readSource(libc: Libc, fd: number, family: AddressFamily): string {
  const address = new Uint8Array(28);
  libc.getsockname(fd, address, wordBytes(address.length));
  return readAddress(address, sockets[family].addressAt, family);
}

function wordBytes(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}
