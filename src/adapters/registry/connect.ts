/**
 * The one way from a configuration to the registry of a fleet, for agents, further controllers and
 * commands. Each kind is loaded when it is used: an agent carries the weight of one.
 */
import type { RegistryPort } from "../../ports/registry.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { connectEmbedded } from "./embedded/open.js";
import { connectTo, formatAddress } from "./embedded/listen.js";
import type { InvalidRecord } from "./records.js";

/** Where a registry is, and how it is spoken to. */
export type RegistryTarget = EmbeddedTarget;

export interface EmbeddedTarget {
  readonly kind: "embedded";
  readonly address: ServiceAddress;
}

export interface ConnectRegistryOptions {
  /** Called for each stored record that is skipped because this version cannot read it. */
  readonly skipped?: (record: InvalidRecord) => void;
}

/**
 * Comes back by itself whenever the connection breaks, so it may be called before the registry is
 * there. Closing the port closes the connection.
 * @throws PortError REGISTRY_ADDRESS_REFUSED
 */
export async function connectRegistry(
  target: RegistryTarget,
  options: ConnectRegistryOptions = {},
): Promise<RegistryPort> {
  return connectEmbedded({ address: target.address, ...options }).registry;
}

/** For people: what the target is called in messages. */
export function formatTarget(target: RegistryTarget): string {
  return formatAddress(target.address);
}

/** Why no connection can be made within `withinMs`, null when one can. */
export function probeRegistry(target: RegistryTarget, withinMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const socket = connectTo(target.address);
    const end = (reason: string | null): void => {
      socket.destroy();
      resolve(reason);
    };
    socket.once("connect", () => end(null));
    socket.once("error", (cause) => end(cause.message));
    socket.setTimeout(withinMs, () => end("no connection"));
  });
}
