/**
 * The C library's calls that Node.js lacks, through koffi, which is loaded on first use: an agent with the
 * userspace dataplane never pays for it. Nothing here knows netlink.
 */
import { endianness } from "node:os";
import type { node as koffiNode } from "koffi";
import { PortError } from "../../port-error.js";

/** Each returns -1 on failure; `errno` then says why. */
export interface Libc {
  socket(family: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array, bytes: number): number;
  connect(fd: number, address: Uint8Array, bytes: number): number;
  getsockopt(fd: number, level: number, option: number, value: Uint8Array, bytes: Uint8Array): number;
  getsockname(fd: number, address: Uint8Array, bytes: Uint8Array): number;
  setsockopt(fd: number, level: number, option: number, value: Uint8Array, bytes: number): number;
  send(fd: number, content: Uint8Array, bytes: number, flags: number): number;
  recv(fd: number, buffer: Uint8Array, bytes: number, flags: number): number;
  close(fd: number): number;
  /** With a zeroed structure it changes nothing. */
  adjtimex(time: Uint8Array): number;
  /** bpf(2), which has no function of its own. */
  bpf(number: number, command: number, attributes: Uint8Array, bytes: number): number;
  errno(): number;
  /** Readiness of a descriptor on the event loop, without a thread. */
  poll: typeof koffiNode.poll;
}

let loading: Promise<Libc> | null = null;

/** @throws PortError `NETLINK_UNAVAILABLE` where this program cannot call the C library. */
export function loadLibc(): Promise<Libc> {
  loading ??= load();
  return loading;
}

async function load(): Promise<Libc> {
  try {
    if (process.platform !== "linux") throw new Error(`no netlink on ${process.platform}`);
    // The codec writes the host's byte order as little-endian.
    if (endianness() !== "LE") throw new Error("big-endian machines are not supported");
    const { default: koffi } = await import("koffi");
    // The running program is linked with its C library already, be it glibc or musl.
    const library = koffi.load(null);
    return {
      socket: library.func("int socket(int, int, int)"),
      bind: library.func("int bind(int, const void *, uint32_t)"),
      connect: library.func("int connect(int, const void *, uint32_t)"),
      getsockopt: library.func("int getsockopt(int, int, int, void *, void *)"),
      getsockname: library.func("int getsockname(int, void *, void *)"),
      setsockopt: library.func("int setsockopt(int, int, int, const void *, uint32_t)"),
      send: library.func("intptr_t send(int, const void *, size_t, int)"),
      recv: library.func("intptr_t recv(int, void *, size_t, int)"),
      close: library.func("int close(int)"),
      adjtimex: library.func("int adjtimex(void *)"),
      bpf: library.func("syscall", "long", ["long", "int", "void *", "uint32_t"]),
      errno: () => koffi.errno(),
      poll: koffi.node.poll,
    };
  } catch (cause) {
    const words = cause instanceof Error ? cause.message : String(cause);
    const message = `the C library cannot be called: ${words}`;
    throw new PortError("NETLINK_UNAVAILABLE", message, false, { cause });
  }
}
