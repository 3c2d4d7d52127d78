/**
 * The UDP sockets on which the kernel takes ESP out of UDP (RFC 3948). A kernel that lost them would
 * answer every encrypted packet with "port unreachable", so they belong to a process that does
 * nothing else and outlives its agent, `kill -9` included: `sleep`, which was started with them.
 * Invariant: one such process for each network namespace, known by its user and a word in its environment.
 */
import { spawn } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import type { AddressFamily, NodeAddresses } from "../../core/node.js";
import { PortError } from "../port-error.js";
import { MessageBatch } from "./codec/batch.js";
import { addressFamilyNumber, encapsulationEspInUdp, headerBytes, structBytes } from "./codec/constants.js";
import { writeAddress } from "./codec/address.js";
import { appendPolicy } from "./codec/policy.js";
import { anything } from "./kernel/guard.js";
import { systemFailure } from "./socket/failures.js";
import type { Libc } from "./socket/libc.js";

export interface Place {
  readonly family: AddressFamily;
  readonly address: string;
  readonly port: number;
}

export interface Holder {
  readonly pid: number;
  /** As in its environment: `ADDRESS#PORT`, separated by spaces. */
  readonly places: string;
  /** Its network namespace, as /proc names it. */
  readonly namespace: string;
}

const marker = "spindle_decapsulates";

/** sys/socket.h, linux/in.h, linux/in6.h, linux/udp.h. */
const datagramType = 2;
const closeOnExec = 0o2000000;
const udpLevel = 17;
/** EADDRINUSE. */
const addressInUse = 98;
const encapsulationOption = 100;
/** A killed `sleep` is gone within some milliseconds, on a busy machine later. */
const endMsMax = 1_000;
const endPollMs = 2;
const options = {
  ipv4: { level: 0, policy: 17, freeBind: 15 },
  ipv6: { level: 41, policy: 35, freeBind: 78 },
} as const;

export function decapsulationPlaces({ ipv4, ipv6, udpPort }: NodeAddresses): readonly Place[] {
  if (udpPort === null) return [];
  const places: Place[] = [];
  if (ipv4 !== null) places.push({ family: "ipv4", address: ipv4, port: udpPort });
  if (ipv6 !== null) places.push({ family: "ipv6", address: ipv6, port: udpPort });
  return places;
}

/**
 * Makes sure that the network namespace of this thread decapsulates at these places and no other.
 * @throws PortError `DATAPLANE_BIND_FAILED` when somebody else has the port, `DATAPLANE_HOLDER_FAILED`
 */
export function holdDecapsulation(libc: Libc, places: readonly Place[]): Holder | null {
  const wanted = places.map(({ address, port }) => `${address}#${port}`).join(" ");
  const present = findHolders();
  const right = present.find((holder) => holder.places === wanted);
  const wrong = present.filter((holder) => holder !== right);
  wrong.forEach(endHolder);
  if (right === undefined && places.length > 0) awaitEnd(wrong);
  if (places.length === 0) return null;
  return right ?? startHolder(libc, places, wanted);
}

/** Those in the network namespace of this thread. */
export function findHolders(): readonly Holder[] {
  const namespace = ownNamespace();
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
  return pids.flatMap((name) => {
    const places = markOf(name, namespace);
    return places === null ? [] : [{ pid: Number(name), places, namespace }];
  });
}

function ownNamespace(): string {
  return readlinkSync("/proc/thread-self/ns/net");
}

/** Null for another process, one of another namespace or user, and one that ended. */
function markOf(pid: string, namespace: string): string | null {
  try {
    const words = readFileSync(`/proc/${pid}/environ`, "latin1").split("\0");
    const mark = words.find((word) => word.startsWith(`${marker}=`));
    // Anybody can put a word into an environment: only what our own user started counts.
    if (mark === undefined || statSync(`/proc/${pid}`).uid !== process.getuid?.()) return null;
    if (readlinkSync(`/proc/${pid}/ns/net`) !== namespace) return null;
    return mark.slice(marker.length + 1);
  } catch {
    return null;
  }
}

/** @param namespace the link of the one in which it was found or started */
export function isAlive({ pid, places, namespace }: Holder): boolean {
  return markOf(String(pid), namespace) === places;
}

export function endHolder({ pid }: Holder): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ESRCH") throw cause;
  }
}

/**
 * Until their sockets are closed, so that an address of theirs can be bound again; no longer than
 * `endMsMax`: binding fails then, and says so.
 */
function awaitEnd(holders: readonly Holder[]): void {
  const clock = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; waitedMs < endMsMax; waitedMs += endPollMs) {
    if (holders.every(hasEnded)) return;
    // The thread waits: what follows must bind in the network namespace that it is in now.
    Atomics.wait(clock, 0, 0, endPollMs);
  }
}

/** Its files are closed before it becomes a zombie, and after its environment is gone (do_exit). */
function hasEnded({ pid }: Holder): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return /^[ZX]/.test(stat.slice(stat.lastIndexOf(")") + 2));
  } catch {
    return true;
  }
}

/** Has a program other than a holder of ours the place? */
export function isPlaceTaken(libc: Libc, place: Place): boolean {
  const mark = `${place.address}#${place.port}`;
  if (findHolders().some(({ places }) => places.split(" ").includes(mark))) return false;
  const fd = libc.socket(addressFamilyNumber[place.family], datagramType | closeOnExec, 0);
  const address = socketAddress(place);
  const isFree = fd >= 0 && libc.bind(fd, address, address.length) === 0;
  const isInUse = !isFree && libc.errno() === addressInUse;
  if (fd >= 0) libc.close(fd);
  return isInUse;
}

function startHolder(libc: Libc, places: readonly Place[], mark: string): Holder {
  const sockets: number[] = [];
  try {
    for (const place of places) sockets.push(openSocket(libc, place));
    const child = spawn("sleep", ["infinity"], {
      cwd: "/",
      detached: true,
      // It outlives the agent, and nothing else of the agent's environment shall: there may be secrets.
      env: { PATH: process.env["PATH"], [marker]: mark },
      stdio: ["ignore", "ignore", "ignore", ...sockets],
    });
    child.once("error", () => undefined).unref();
    if (child.pid !== undefined) return { pid: child.pid, places: mark, namespace: ownNamespace() };
    const message = "`sleep`, which keeps the UDP socket of encapsulated ESP open, cannot be started";
    throw new PortError("DATAPLANE_HOLDER_FAILED", message, false);
  } finally {
    for (const fd of sockets) libc.close(fd);
  }
}

function openSocket(libc: Libc, place: Place): number {
  const fd = libc.socket(addressFamilyNumber[place.family], datagramType | closeOnExec, 0);
  if (fd < 0) throw systemFailure(libc.errno());
  try {
    configure(libc, fd, place);
    return fd;
  } catch (cause) {
    libc.close(fd);
    throw cause;
  }
}

function configure(libc: Libc, fd: number, place: Place): void {
  const { level, policy, freeBind } = options[place.family];
  const set = (at: number, option: number, value: Uint8Array): void => {
    if (libc.setsockopt(fd, at, option, value, value.length) < 0) throw systemFailure(libc.errno());
  };
  // An IPv6 address that is still being checked for duplicates can be bound already.
  set(level, freeBind, word(1));
  set(udpLevel, encapsulationOption, word(encapsulationEspInUdp));
  // It meets no other policy: its packets are encrypted, and a peer's policy would want them decrypted.
  for (const direction of ["in", "out"] as const) set(level, policy, ownPolicy(place.family, direction));
  const address = socketAddress(place);
  if (libc.bind(fd, address, address.length) === 0) return;
  const fault = systemFailure(libc.errno());
  const message = `cannot bind UDP ${place.address} port ${place.port}: ${fault.message}`;
  throw new PortError("DATAPLANE_BIND_FAILED", message, true, { cause: fault });
}

function word(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

/** struct xfrm_userpolicy_info, without the header of a message. */
function ownPolicy(family: AddressFamily, direction: "in" | "out"): Uint8Array {
  const batch = new MessageBatch(headerBytes + structBytes.policyInfo);
  const selector = anything(family);
  const rest = { selector, ifId: null, verdict: "allow", priority: 0, templates: [] } as const;
  appendPolicy(batch, "set", { direction, ...rest });
  return batch.content().slice(headerBytes, headerBytes + structBytes.policyInfo);
}

/** struct sockaddr_in, or sockaddr_in6. */
export function socketAddress({ family, address, port }: Place): Uint8Array {
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, addressFamilyNumber[family], true);
  view.setUint16(2, port);
  writeAddress(bytes, family === "ipv4" ? 4 : 8, family, address);
  return family === "ipv4" ? bytes.subarray(0, 16) : bytes;
}
