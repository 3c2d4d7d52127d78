/**
 * One netlink socket in the network namespace that the calling thread is in when it is
 * opened. Owns the file descriptor and turns `errno` into codes; it does not know what is sent.
 */
import { limits } from "../../../core/limits.js";
import { systemFailure } from "./failures.js";
import type { Libc } from "./libc.js";

/** sys/socket.h, linux/netlink.h. */
const netlinkFamily = 16;
const rawType = 3;
const closeOnExec = 0o2000000;
const socketLevel = 1;
const netlinkLevel = 270;
const option = {
  sendBuffer: 7,
  receiveBuffer: 8,
  receiveTimeout: 20,
  sendBufferForced: 32,
  receiveBufferForced: 33,
  addMembership: 1,
  capAcknowledgement: 10,
  extendedAcknowledgement: 11,
} as const;
const dontWait = 0x40;
/** The call returns a message's real length, so that a cut one is noticed. */
const truncated = 0x20;

/** linux/netlink.h: what the socket talks to. */
export const netlinkProtocol = { route: 0, xfrm: 6 } as const;

export const errno = { interrupted: 4, again: 11, noMemory: 12, noBuffers: 105 } as const;

export type Received =
  | { readonly kind: "bytes"; readonly content: Uint8Array }
  | { readonly kind: "nothing" }
  /** Messages for this socket were dropped: its buffer was full. */
  | { readonly kind: "overrun" }
  /** A message was longer than the receive buffer, which then has been enlarged. */
  | { readonly kind: "cut" };

export class NetlinkDescriptor {
  readonly #libc: Libc;
  readonly fd: number;
  #buffer = new Uint8Array(limits.netlinkReceiveBytes);
  #isOpen = true;

  /** @throws PortError, e.g. `EPERM`, `EPROTONOSUPPORT` without `xfrm_user`. */
  constructor(libc: Libc, protocol: number = netlinkProtocol.xfrm) {
    this.#libc = libc;
    this.fd = this.#checked(libc.socket(netlinkFamily, rawType | closeOnExec, protocol));
    try {
      this.#configure();
    } catch (cause) {
      this.close();
      throw cause;
    }
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** The kernel's address of this socket; replies carry it. */
  portId(): number {
    const address = new Uint8Array(12);
    const size = new Uint8Array(new Uint32Array([address.length]).buffer);
    this.#checked(this.#libc.getsockname(this.fd, address, size));
    return new DataView(address.buffer).getUint32(4, true);
  }

  /** @param group XFRMNLGRP_*; EPERM without CAP_NET_ADMIN */
  join(group: number): void {
    this.#set(netlinkLevel, option.addMembership, group);
  }

  /** @returns 0, or the error number: the kernel has then taken nothing */
  send(content: Uint8Array): number {
    for (;;) {
      const sent = this.#libc.send(this.fd, content, content.length, 0);
      if (sent >= 0) return 0;
      const number = this.#libc.errno();
      if (number !== errno.interrupted) return number;
    }
  }

  /**
   * What was received is valid until the next call.
   * @param wait up to `limits.netlinkAnswerMsMax`
   */
  receive(wait: boolean): Received {
    for (;;) {
      const buffer = this.#buffer;
      const flags = truncated | (wait ? 0 : dontWait);
      const length = this.#libc.recv(this.fd, buffer, buffer.length, flags);
      if (length > buffer.length) return this.#enlarge(length);
      if (length >= 0) return { kind: "bytes", content: buffer.subarray(0, length) };
      const number = this.#libc.errno();
      if (number === errno.again) return { kind: "nothing" };
      if (number === errno.noBuffers) return { kind: "overrun" };
      if (number !== errno.interrupted) throw systemFailure(number);
    }
  }

  /** Dumps and notifications hold key bytes. */
  wipeReceived(): void {
    this.#buffer.fill(0);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.wipeReceived();
    this.#libc.close(this.fd);
  }

  #configure(): void {
    const address = new Uint8Array(12);
    new DataView(address.buffer).setUint16(0, netlinkFamily, true);
    this.#checked(this.#libc.bind(this.fd, address, address.length));
    this.#setBuffer(option.receiveBufferForced, option.receiveBuffer);
    this.#setBuffer(option.sendBufferForced, option.sendBuffer);
    this.#set(netlinkLevel, option.extendedAcknowledgement, 1);
    // Without it an error repeats the whole request, key bytes included.
    this.#set(netlinkLevel, option.capAcknowledgement, 1);
    this.#setTimeout(limits.netlinkAnswerMsMax);
  }

  /** Without CAP_NET_ADMIN the system's own limit (`net.core.rmem_max`) is what one gets. */
  #setBuffer(forced: number, plain: number): void {
    const value = wordBytes(limits.netlinkBufferBytes);
    if (this.#libc.setsockopt(this.fd, socketLevel, forced, value, value.length) === 0) return;
    this.#set(socketLevel, plain, limits.netlinkBufferBytes);
  }

  #set(level: number, name: number, number: number): void {
    const value = wordBytes(number);
    this.#checked(this.#libc.setsockopt(this.fd, level, name, value, value.length));
  }

  /** struct timeval of a 64-bit system. */
  #setTimeout(ms: number): void {
    const value = new BigInt64Array([BigInt(Math.floor(ms / 1_000)), BigInt((ms % 1_000) * 1_000)]);
    const bytes = new Uint8Array(value.buffer);
    this.#checked(
      this.#libc.setsockopt(this.fd, socketLevel, option.receiveTimeout, bytes, bytes.length),
    );
  }

  #checked(result: number): number {
    if (result >= 0) return result;
    throw systemFailure(this.#libc.errno());
  }

  #enlarge(least: number): Received {
    this.wipeReceived();
    this.#buffer = new Uint8Array(2 * least);
    return { kind: "cut" };
  }
}

function wordBytes(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number]).buffer);
}
