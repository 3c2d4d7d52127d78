import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { EmbeddedClient } from "../../src/adapters/registry/embedded/client.js";
import { EmbeddedEngine } from "../../src/adapters/registry/embedded/engine.js";
import { RegistryServer } from "../../src/adapters/registry/embedded/server.js";
import { EmbeddedStore } from "../../src/adapters/registry/embedded/store.js";
import { KvRegistry } from "../../src/adapters/registry/kv-registry.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import type { ServiceAddress } from "../../src/ports/service-address.js";
import { keyOf } from "./record-keys.js";
import {
  registryContract,
  type FleetRegistry,
  type RecordPlace,
  type RegistryClient,
  type RegistrySupports,
} from "./registry.js";

const supports: RegistrySupports = {
  durable: true,
  resume: true,
  compaction: true,
  rawRecords: true,
};

registryContract("embedded over a unix socket", supports, (context) => makeFleet(context, "unix"));
registryContract("embedded over loopback", supports, (context) => makeFleet(context, "tcp"));

async function makeFleet(
  context: TestContext,
  kind: ServiceAddress["kind"],
): Promise<FleetRegistry> {
  const directory = await mkdtemp(join(tmpdir(), "spindle-registry-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const fleet = new EmbeddedFleet(directory);
  await fleet.listen(
    kind === "unix"
      ? { kind, path: join(directory, "registry.sock") }
      : { kind, host: "127.0.0.1", port: 0 },
  );
  return fleet;
}

class EmbeddedFleet implements FleetRegistry {
  readonly #directory: string;
  readonly #clients = new Set<RegistryPort>();
  #engine: EmbeddedEngine;
  #server: RegistryServer;
  #address: ServiceAddress = { kind: "unix", path: "" };

  constructor(directory: string) {
    this.#directory = directory;
    this.#engine = new EmbeddedEngine(new EmbeddedStore(join(directory, "store")));
    this.#server = new RegistryServer(this.#engine);
  }

  async listen(address: ServiceAddress): Promise<void> {
    this.#address = await this.#server.listen(address);
  }

  connect(): RegistryClient {
    const client = new EmbeddedClient(this.#address);
    const skipped: string[] = [];
    const registry = new KvRegistry(client, {
      skipped: (record) => skipped.push(record.key),
      closed: () => client.close(),
    });
    this.#clients.add(registry);
    return { registry, skipped, vanish: () => client.close() };
  }

  async outage(meanwhile: (inside: RegistryPort) => Promise<void>): Promise<void> {
    await this.#server.close();
    const ignore = (): void => undefined;
    const inside = new KvRegistry(this.#engine, { skipped: ignore, closed: ignore });
    await meanwhile(inside);
    inside.close();
    await this.#serveAgain();
  }

  async restart(): Promise<void> {
    await this.#server.close();
    await this.#engine.close();
    this.#engine = new EmbeddedEngine(new EmbeddedStore(join(this.#directory, "store")));
    await this.#serveAgain();
  }

  async forgetHistory(): Promise<void> {
    this.#engine.forgetHistory();
  }

  async writeRaw(place: RecordPlace, text: string): Promise<void> {
    const key = keyOf(place);
    // As a change of the roster by another version would: with the ledger.
    const meta = (await this.#engine.get(["roster-meta"])).items[0];
    const ledger =
      place.kind === "roster" && meta !== undefined
        ? [{ kind: "put" as const, key: meta.key, value: meta.value }]
        : [];
    await this.#engine.transaction([], [...ledger, { kind: "put", key, value: text }]);
  }

  async close(): Promise<void> {
    for (const registry of this.#clients) registry.close();
    await this.#server.close();
    await this.#engine.close();
  }

  async #serveAgain(): Promise<void> {
    this.#server = new RegistryServer(this.#engine);
    await this.#server.listen(this.#address);
  }
}
