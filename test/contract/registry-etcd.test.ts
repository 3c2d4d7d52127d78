/** The contract of the registry port on a real etcd, which all clauses share: each has a prefix of its own. */
import { after, before, type TestContext } from "node:test";
import { EtcdKv } from "../../src/adapters/registry/etcd/etcd-kv.js";
import type { EtcdOptions } from "../../src/adapters/registry/etcd/options.js";
import { KvRegistry } from "../../src/adapters/registry/kv-registry.js";
import { sealedKv } from "../../src/adapters/registry/sealed-kv.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import { compact, freshFleet, skipWithoutEtcd, startEtcd, type EtcdCluster } from "../support/etcd.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { keyOf } from "./record-keys.js";
import {
  registryContract,
  type FleetRegistry,
  type RecordPlace,
  type RegistryClient,
  type RegistrySupports,
} from "./registry.js";

const skip = await skipWithoutEtcd();

const supports: RegistrySupports = {
  durable: true,
  resume: true,
  compaction: true,
  rawRecords: true,
};

let cluster: EtcdCluster;

if (skip === false) {
  before(async () => {
    cluster = await startEtcd();
  });
  after(() => cluster.stop());
}

registryContract("etcd", supports, makeFleet, skip);

async function makeFleet(_context: TestContext): Promise<FleetRegistry> {
  const proxy = new TcpProxy(cluster.endpoints[0]?.port ?? 0);
  await proxy.open();
  return new EtcdFleet(proxy);
}

class EtcdFleet implements FleetRegistry {
  readonly #proxy: TcpProxy;
  readonly #options: EtcdOptions;
  readonly #registries = new Set<RegistryPort>();

  constructor(proxy: TcpProxy) {
    this.#proxy = proxy;
    this.#options = freshFleet([{ host: "127.0.0.1", port: proxy.port }]);
  }

  connect(): RegistryClient {
    return this.#connectTo(this.#options);
  }

  async outage(meanwhile: (inside: RegistryPort) => Promise<void>): Promise<void> {
    await this.#proxy.cut();
    await meanwhile(this.#inside().registry);
    await this.#proxy.open();
  }

  async restart(): Promise<void> {
    const [member] = cluster.members;
    await member?.stop("SIGKILL");
    member?.start();
    await cluster.ready();
  }

  forgetHistory(): Promise<void> {
    return compact(cluster);
  }

  async writeRaw(place: RecordPlace, text: string): Promise<void> {
    const kv = new EtcdKv({ ...this.#options, endpoints: cluster.endpoints });
    // As a change of the roster by another version would: with the ledger.
    const meta = (await kv.get(["roster-meta"])).items[0];
    const ledger =
      place.kind === "roster" && meta !== undefined
        ? [{ kind: "put" as const, key: meta.key, value: meta.value }]
        : [];
    await kv.transaction([], [...ledger, { kind: "put", key: keyOf(place), value: text }]);
    kv.close();
  }

  async close(): Promise<void> {
    for (const registry of this.#registries) registry.close();
    await this.#proxy.cut();
  }

  /** Past the proxy. */
  #inside(): RegistryClient {
    return this.#connectTo({ ...this.#options, endpoints: cluster.endpoints });
  }

  #connectTo(options: EtcdOptions): RegistryClient {
    const kv = new EtcdKv(options);
    const skipped: string[] = [];
    const registry = new KvRegistry(sealedKv(kv), {
      skipped: (record) => skipped.push(record.key),
      closed: () => kv.close(),
    });
    this.#registries.add(registry);
    return { registry, skipped, vanish: () => kv.close() };
  }
}
