/**
 * Serves the engine of an embedded registry on a unix socket or on loopback. Owns the socket and
 * its clients.
 */
import { createServer, type Server, type Socket } from "node:net";
import { limits } from "../../../core/limits.js";
import type { ServiceAddress } from "../../../ports/service-address.js";
import { Connection } from "./connection.js";
import type { EmbeddedEngine } from "./engine.js";
import { Gate } from "./gate.js";
import { listenOn } from "./listen.js";
import type { RegistryStatistics } from "./statistics.js";

export class RegistryServer {
  readonly #engine: EmbeddedEngine;
  readonly #server: Server;
  readonly #connections = new Set<Connection>();
  readonly #listings = new Gate(limits.registryListingsMax);

  constructor(engine: EmbeddedEngine) {
    this.#engine = engine;
    this.#server = createServer({ noDelay: true }, (socket) => this.#accept(socket));
    this.#server.maxConnections = limits.registryConnectionsMax;
  }

  /**
   * Returns where it listens, with the port that the system chose for port 0.
   * @throws PortError REGISTRY_LISTEN_REFUSED, REGISTRY_LISTEN_FAILED
   */
  listen(address: ServiceAddress): Promise<ServiceAddress> {
    return listenOn(this.#server, address);
  }

  statistics(): RegistryStatistics {
    return this.#engine.statistics();
  }

  /** Cuts all connections; clients come back by themselves. */
  disconnectAll(): void {
    for (const connection of this.#connections) connection.close();
  }

  /** The socket file goes with the server. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.disconnectAll();
    await closed;
  }

  #accept(socket: Socket): void {
    const connection = new Connection(socket, this.#engine, this.#listings);
    this.#connections.add(connection);
    socket.once("close", () => this.#connections.delete(connection));
  }
}
