/** The registry contract on a real API server. One server for all clauses, a namespace for each. */
import assert from "node:assert/strict";
import { after, type TestContext } from "node:test";
import { type ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import { leadRoster } from "../../src/adapters/registry/kubernetes/roster-leader.js";
import type { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import type { Log } from "../../src/ports/log.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import { clientOf, makeNamespace, skipWithoutKubernetes, startSharedServer } from "../support/kubernetes.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import {
  registryContract,
  type FleetRegistry,
  type RegistryClient,
  type RegistrySupports,
} from "./registry.js";

const supports: RegistrySupports = {
  durable: true,
  // An API server that comes back has mostly forgotten the history: a watch that failed lists again.
  resume: false,
  compaction: true,
  // The API server refuses what does not fit the schema; changes by hand are in test/kubernetes.
  rawRecords: false,
};

const silent: Log = { write: () => undefined };

let shared: ReturnType<typeof startSharedServer> | null = null;
let namespaces = 0;

after(async () => (await shared?.catch(() => null))?.stop());

registryContract("kubernetes", supports, makeFleet, skipWithoutKubernetes);

async function makeFleet(_context: TestContext): Promise<FleetRegistry> {
  shared ??= startSharedServer();
  const server = await shared;
  assert.ok(server !== null);
  namespaces += 1;
  const fleet = new KubernetesFleet(server, `fleet-${namespaces}`);
  await fleet.open();
  return fleet;
}

class KubernetesFleet implements FleetRegistry {
  readonly #server: KubernetesServer;
  readonly #namespace: string;
  readonly #proxy: TcpProxy;
  readonly #inside: ApiClient;
  readonly #registries = new Set<RegistryPort>();
  #stopLeading = (): void => undefined;

  constructor(server: KubernetesServer, namespace: string) {
    this.#server = server;
    this.#namespace = namespace;
    this.#proxy = new TcpProxy(server.port);
    this.#inside = clientOf(server, namespace);
  }

  async open(): Promise<void> {
    await this.#proxy.open();
    await makeNamespace(this.#inside, this.#namespace);
    this.#stopLeading = leadRoster(this.#inside, silent);
  }

  connect(): RegistryClient {
    const client = clientOf(this.#server, this.#namespace, this.#proxy.port);
    const skipped: string[] = [];
    const options = { skipped: ({ key }: { key: string }) => skipped.push(key), log: silent };
    const registry = registryOver(client, options);
    this.#registries.add(registry);
    return { registry, skipped, vanish: () => client.close() };
  }

  async outage(meanwhile: (inside: RegistryPort) => Promise<void>): Promise<void> {
    await this.#proxy.cut();
    const inside = registryOver(clientOf(this.#server, this.#namespace), {
      skipped: () => undefined,
      log: silent,
    });
    await meanwhile(inside);
    inside.close();
    await this.#proxy.open();
  }

  async restart(): Promise<void> {
    await this.#server.stopApiServer();
    await this.#server.startApiServer();
  }

  async forgetHistory(): Promise<void> {
    // The watch cache goes with the process.
    await this.restart();
  }

  async writeRaw(): Promise<void> {
    throw new Error("not supported");
  }

  async close(): Promise<void> {
    for (const registry of this.#registries) registry.close();
    this.#stopLeading();
    this.#inside.close();
    await this.#proxy.cut();
  }
}
