/**
 * Where the registry may be reached: a unix socket of mode 0600, or loopback. There is no TLS here
 * yet, so any other address is refused at both ends: whoever reaches the registry decides what the
 * fleet does.
 */
import { chmodSync, lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { BlockList, connect, isIP, type AddressInfo, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import type { ServiceAddress } from "../../../ports/service-address.js";
import { PortError } from "../../port-error.js";

/** `sun_path` of unix(7) less its ending zero. */
const socketPathBytesMax = 107;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/**
 * Starts `server` and returns where it listens, with the port that the system chose for port 0.
 * @throws PortError REGISTRY_LISTEN_REFUSED, REGISTRY_LISTEN_FAILED
 */
export async function listenOn(server: Server, address: ServiceAddress): Promise<ServiceAddress> {
  checkAddress(address, "REGISTRY_LISTEN_REFUSED");
  try {
    if (address.kind === "unix") {
      await preparePath(address.path);
      await bindPrivately(server, address.path);
      return address;
    }
    await bind(server, () => server.listen(address.port, address.host));
    return { ...address, port: (server.address() as AddressInfo).port };
  } catch (cause) {
    throw listenFailure(address, cause);
  }
}

/** @throws PortError REGISTRY_ADDRESS_REFUSED */
export function checkReachable(address: ServiceAddress): void {
  checkAddress(address, "REGISTRY_ADDRESS_REFUSED");
}

export function connectTo(address: ServiceAddress): Socket {
  if (address.kind === "unix") return connect(address.path);
  return connect(address.port, address.host).setNoDelay(true);
}

export function formatAddress(address: ServiceAddress): string {
  return address.kind === "unix" ? address.path : `${address.host} port ${address.port}`;
}

function checkAddress(address: ServiceAddress, code: string): void {
  if (address.kind === "unix") {
    if (Buffer.byteLength(address.path) <= socketPathBytesMax) return;
    const message = `socket path is longer than ${socketPathBytesMax} bytes: ${address.path}`;
    throw new PortError(code, message, false);
  }
  const family = isIP(address.host);
  if (family !== 0 && loopback.check(address.host, family === 6 ? "ipv6" : "ipv4")) return;
  const message = `${address.host} is not a loopback address, and there is no TLS to protect it`;
  throw new PortError(code, message, false);
}

/** A socket that a killed program left behind refuses connections; one that accepts them stays. */
async function preparePath(path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const isLeftBehind = isSocket(path) && !(await acceptsConnections(path));
  if (isLeftBehind) unlinkSync(path);
}

function isSocket(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false })?.isSocket() ?? false;
}

function acceptsConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

/**
 * Never open to others, not even before the chmod: `listen` binds before it returns, within the
 * mask.
 */
async function bindPrivately(server: Server, path: string): Promise<void> {
  const mask = process.umask(0o177);
  try {
    await bind(server, () => {
      server.listen(path);
      process.umask(mask);
    });
  } finally {
    process.umask(mask);
  }
  chmodSync(path, 0o600);
}

function bind(server: Server, listen: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.once("listening", () => {
      server.off("error", reject);
      resolve();
    });
    listen();
  });
}

function listenFailure(address: ServiceAddress, cause: unknown): PortError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  const message = `the registry cannot listen on ${formatAddress(address)}: ${reason}`;
  return new PortError("REGISTRY_LISTEN_FAILED", message, true, { cause });
}
