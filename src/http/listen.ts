/**
 * Listening on loopback or a unix socket, elsewhere with TLS only: what a node says of its peers and
 * keys is not for everybody on the network.
 */
import { chmod, lstat, unlink } from "node:fs/promises";
import type { Server } from "node:http";
import { BlockList, connect, isIP, type AddressInfo } from "node:net";
import { fail, succeed, type Result } from "../core/result.js";
import type { PortFailure } from "../ports/failure.js";
import type { ServiceAddress } from "../ports/service-address.js";

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8, "ipv4");
loopback.addAddress("::1", "ipv6");

/** Only literal addresses count: a name may resolve to anything. */
export function isLoopback(host: string): boolean {
  const family = isIP(host);
  return family !== 0 && loopback.check(host, family === 6 ? "ipv6" : "ipv4");
}

/** As in configuration files: `127.0.0.1:9470`, `[::1]:9470` or the path of a unix socket. */
export function formatServiceAddress(address: ServiceAddress): string {
  if (address.kind === "unix") return address.path;
  return isIP(address.host) === 6
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

/**
 * Starts `server`, with mode 0600 on a unix socket.
 * @returns where it listens, with the port that the system chose for port 0; or HTTP_LISTEN_REFUSED
 * for an address that is not loopback without TLS, HTTP_LISTEN_FAILED for one that cannot be bound
 */
export async function listen(
  server: Server,
  address: ServiceAddress,
  isSecure: boolean,
): Promise<Result<ServiceAddress, PortFailure>> {
  if (address.kind === "tcp" && !isSecure && !isLoopback(address.host)) return fail(refused(address));
  try {
    if (address.kind === "unix") await removeStaleSocket(address.path);
    await bind(server, address);
    if (address.kind === "unix") await chmod(address.path, 0o600);
  } catch (cause) {
    return fail(failed(address, cause));
  }
  if (address.kind === "unix") return succeed(address);
  return succeed({ ...address, port: (server.address() as AddressInfo).port });
}

function refused(address: ServiceAddress): PortFailure {
  const shown = formatServiceAddress(address);
  const message = `${shown} is not a loopback address, and there is no TLS to protect it`;
  return { code: "HTTP_LISTEN_REFUSED", message, retryable: false };
}

function failed(address: ServiceAddress, cause: unknown): PortFailure {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return {
    code: "HTTP_LISTEN_FAILED",
    message: `cannot listen on ${formatServiceAddress(address)}: ${reason}`,
    retryable: true,
  };
}

function bind(server: Server, address: ServiceAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    const ready = (): void => {
      server.off("error", reject);
      resolve();
    };
    if (address.kind === "unix") server.listen(address.path, ready);
    else server.listen(address.port, address.host, ready);
  });
}

/**
 * A socket that a killed program left behind refuses connections; one that accepts them is in use
 * and stays.
 */
async function removeStaleSocket(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => null);
  if (stats?.isSocket() === true && (await refusesConnections(path))) await unlink(path);
}

function refusesConnections(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(false);
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED"));
  });
}
