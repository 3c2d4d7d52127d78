/** TCP through blocking system calls, so that a connection can be tried from within a namespace. */
import koffi from "koffi";
import { addressFamilyNumber } from "../../../src/adapters/netlink/codec/constants.js";
import type { Family } from "../../../src/adapters/netlink/codec/model.js";
import { socketAddress } from "./datagrams.js";

const library = koffi.load(null);
const socket = library.func("int socket(int, int, int)");
const bind = library.func("int bind(int, const void *, uint32_t)");
const listen = library.func("int listen(int, int)");
const connect = library.func("int connect(int, const void *, uint32_t)");
const setsockopt = library.func("int setsockopt(int, int, int, const void *, uint32_t)");
const close = library.func("int close(int)");

const stream = 1;
const socketLevel = 1;
/** It bounds `connect` as well. */
const sendTimeoutOption = 21;

export interface Place {
  readonly family: Family;
  readonly address: string;
  readonly port: number;
}

/** The kernel completes connections by itself; nobody needs to accept them. Call it in the namespace. */
export function listenAt({ family, address, port }: Place): { close(): void } {
  const fd = checked(socket(addressFamilyNumber[family], stream, 0));
  const local = socketAddress(family, address, port);
  checked(bind(fd, local, local.length));
  checked(listen(fd, 8));
  return { close: () => void close(fd) };
}

/** Call it in the namespace. @returns whether a connection came about within a third of a second */
export function canConnect(from: Omit<Place, "port">, to: Place): boolean {
  const fd = checked(socket(addressFamilyNumber[to.family], stream, 0));
  const timeout = new Uint8Array(new BigInt64Array([0n, 300_000n]).buffer);
  checked(setsockopt(fd, socketLevel, sendTimeoutOption, timeout, timeout.length));
  const [local, remote] = [socketAddress(from.family, from.address, 0), socketAddress(to.family, to.address, to.port)];
  checked(bind(fd, local, local.length));
  const isConnected = connect(fd, remote, remote.length) === 0;
  close(fd);
  return isConnected;
}

function checked(result: unknown): number {
  if ((result as number) < 0) throw new Error(`a system call failed with ${koffi.errno()}`);
  return result as number;
}
