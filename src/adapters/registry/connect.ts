/**
 * The one way from a configuration to the registry of a fleet, for agents, controllers and
 * commands. Each kind is loaded when it is used: an agent carries the weight of one.
 */
import { connect, type Socket } from "node:net";
import type { RegistryPort } from "../../ports/registry.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { connectTo, formatAddress } from "./embedded/listen.js";
import { formatEndpoint, type EtcdOptions } from "./etcd/options.js";
import type { InvalidRecord } from "./records.js";

/** Where a registry is, and how it is spoken to. */
export type RegistryTarget = EmbeddedTarget | EtcdTarget;

export interface EmbeddedTarget {
  readonly kind: "embedded";
  readonly address: ServiceAddress;
}

export interface EtcdTarget extends EtcdOptions {
  readonly kind: "etcd";
}

export interface ConnectRegistryOptions {
  /** Called for each stored record that is skipped because this version cannot read it. */
  readonly skipped?: (record: InvalidRecord) => void;
}

/**
 * Comes back by itself whenever the connection breaks, so it may be called before the registry is
 * there. Closing the port closes the connection.
 * @throws PortError REGISTRY_ADDRESS_REFUSED, REGISTRY_TLS_UNREADABLE, REGISTRY_PASSWORD_UNREADABLE
 */
export async function connectRegistry(
  target: RegistryTarget,
  { skipped = ignore }: ConnectRegistryOptions = {},
): Promise<RegistryPort> {
  if (target.kind === "etcd") {
    const { connectEtcd } = await import("./etcd/open.js");
    return connectEtcd(target, skipped);
  }
  const { connectEmbedded } = await import("./embedded/open.js");
  return connectEmbedded({ address: target.address, skipped }).registry;
}

/** For people: what the target is called in messages. */
export function formatTarget(target: RegistryTarget): string {
  if (target.kind === "embedded") return formatAddress(target.address);
  return `etcd ${target.endpoints.map(formatEndpoint).join(", ")}`;
}

/** For people: what to check when it does not answer. */
export function hintForTarget({ kind }: RegistryTarget): string {
  return kind === "embedded"
    ? "check that the controller which keeps it runs, and that this user may open its socket"
    : "check that the cluster has a leader, and the endpoints, certificates and user in that file";
}

/** Why no connection can be made within `withinMs`, null when one can. */
export async function probeRegistry(
  target: RegistryTarget,
  withinMs: number,
): Promise<string | null> {
  const sockets =
    target.kind === "embedded"
      ? [connectTo(target.address)]
      : target.endpoints.map(({ host, port }) => connect(port, host));
  const reasons = await Promise.all(sockets.map((socket) => probe(socket, withinMs)));
  return reasons.includes(null) ? null : reasons.join("; ");
}

function probe(socket: Socket, withinMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const end = (reason: string | null): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.once("connect", () => end(null));
    socket.once("error", (cause) => end(cause.message));
    socket.setTimeout(withinMs, () => end("no connection"));
  });
}

function ignore(): void {
  // Nobody asked.
}
