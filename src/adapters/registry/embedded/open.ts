/**
 * The two ways to the embedded registry: the controller hosts it in its own process, agents and
 * commands connect to it.
 */
import { chmodSync } from "node:fs";
import { join } from "node:path";
import type { Done } from "../../../ports/failure.js";
import type { GatewayRegistryPort } from "../../../ports/gateway-registry.js";
import type { RegistryPort } from "../../../ports/registry.js";
import type { ServiceAddress } from "../../../ports/service-address.js";
import { KvGatewayRegistry } from "../gateway-registry.js";
import { KvRegistry } from "../kv-registry.js";
import type { InvalidRecord } from "../records.js";
import { settle } from "../settle.js";
import { EmbeddedClient } from "./client.js";
import { EmbeddedEngine } from "./engine.js";
import { checkReachable } from "./listen.js";
import { RegistryServer } from "./server.js";
import type { RegistryStatistics } from "./statistics.js";
import type { EmbeddedStore } from "./store.js";

export interface ConnectOptions {
  readonly address: ServiceAddress;
  /** Called for each stored record that is skipped because this version cannot read it. */
  readonly skipped?: (record: InvalidRecord) => void;
}

/** Closing the registry closes the connection. */
export interface EmbeddedConnection {
  readonly registry: RegistryPort;
  /** What the server counted, for the lab and metrics. */
  readonly statistics: (done: Done<RegistryStatistics>) => void;
}

export interface StartOptions {
  /** The store and, by default, the socket live in `registry/` of it. */
  readonly stateDir: string;
  readonly listen?: ServiceAddress;
  readonly skipped?: (record: InvalidRecord) => void;
}

export interface EmbeddedHost {
  readonly registry: RegistryPort;
  /** The VPN links of the same store. */
  readonly gateways: GatewayRegistryPort;
  /** Where clients reach it, with the port that the system chose. */
  readonly address: ServiceAddress;
  readonly server: RegistryServer;
  /** Ends everything; what was acknowledged stays. */
  readonly close: () => Promise<void>;
}

/**
 * Comes back by itself whenever the connection breaks, so it may be called before the server is
 * there.
 * @throws PortError REGISTRY_ADDRESS_REFUSED
 */
export function connectEmbedded({ address, skipped = ignore }: ConnectOptions): EmbeddedConnection {
  checkReachable(address);
  const client = new EmbeddedClient(address);
  return {
    registry: new KvRegistry(client, { skipped, closed: () => client.close() }),
    statistics: (done) => settle(client.statistics(), done),
  };
}

/**
 * The VPN links of a store that another program serves.
 * @throws PortError REGISTRY_ADDRESS_REFUSED
 */
export function connectEmbeddedGateways({ address, skipped = ignore }: ConnectOptions): GatewayRegistryPort {
  checkReachable(address);
  const client = new EmbeddedClient(address);
  return new KvGatewayRegistry(client, { skipped, closed: () => client.close() });
}

/** @throws PortError REGISTRY_STORE_…, REGISTRY_LISTEN_… */
export async function startEmbedded(options: StartOptions): Promise<EmbeddedHost> {
  const { stateDir, skipped = ignore } = options;
  const engine = new EmbeddedEngine(await openStore(stateDir));
  const server = new RegistryServer(engine);
  const registry = new KvRegistry(engine, { skipped, closed: ignore });
  const gateways = new KvGatewayRegistry(engine, { skipped, closed: ignore });
  try {
    const listen = options.listen ?? { kind: "unix", path: defaultSocketPath(stateDir) };
    const address = await server.listen(listen);
    const close = (): Promise<void> => {
      gateways.close();
      return closeAll(registry, server, engine);
    };
    return { registry, gateways, address, server, close };
  } catch (cause) {
    await engine.close();
    throw cause;
  }
}

export function defaultSocketPath(stateDir: string): string {
  return join(stateDir, "registry", "registry.sock");
}

/** Loaded here: a client, as every agent is one, does without the database library. */
export async function openStore(stateDir: string): Promise<EmbeddedStore> {
  const { EmbeddedStore } = await import("./store.js");
  const directory = join(stateDir, "registry");
  const store = new EmbeddedStore(directory);
  chmodSync(directory, 0o700);
  return store;
}

async function closeAll(
  registry: RegistryPort,
  server: RegistryServer,
  engine: EmbeddedEngine,
): Promise<void> {
  registry.close();
  await server.close();
  await engine.close();
}

function ignore(): void {
  // Nobody asked.
}
