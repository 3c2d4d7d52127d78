/**
 * etcd as a lab's registry: servers of the lab on loopback, which end with it, or members that run
 * already. Each lab has a prefix of its own.
 */
import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { connectGatewayRegistry } from "../../adapters/registry/connect.js";
import { EtcdKv } from "../../adapters/registry/etcd/etcd-kv.js";
import {
  formatEndpoint,
  type EtcdEndpoint,
  type EtcdOptions,
} from "../../adapters/registry/etcd/options.js";
import { KvRegistry } from "../../adapters/registry/kv-registry.js";
import { orNull } from "../../adapters/registry/settle.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { RegistryCounts } from "../fleet/registry-load.js";
import { freePorts } from "../servers/loopback.js";
import { EtcdMember } from "./etcd-member.js";
import { EtcdTotals, isHealthy } from "./etcd-metrics.js";
import type { LabConnection, LabRegistry } from "./lab-registry.js";

export interface EtcdLabOptions {
  /** For the servers' data. */
  readonly directory: string;
  /** Members that run already; none: the lab starts its own. */
  readonly endpoints: readonly EtcdEndpoint[];
  /** Servers to start. */
  readonly size: number;
}

/** Deletions in one transaction, when the lab cleans up behind itself. */
const deletionsMax = 50;

export class EtcdLabRegistry implements LabRegistry {
  readonly prefix = `/spindle/lab-${randomBytes(6).toString("hex")}/`;
  readonly #directory: string;
  readonly #size: number;
  readonly #isOwn: boolean;
  #members: readonly EtcdMember[] = [];
  #endpoints: readonly EtcdEndpoint[];

  constructor({ directory, endpoints, size }: EtcdLabOptions) {
    this.#directory = directory;
    this.#endpoints = endpoints;
    this.#size = size;
    this.#isOwn = endpoints.length === 0;
  }

  /** Those that the lab started. */
  get members(): readonly EtcdMember[] {
    return this.#members;
  }

  get endpoints(): readonly EtcdEndpoint[] {
    return this.#endpoints;
  }

  readonly start = async (): Promise<void> => {
    if (!this.#isOwn) return;
    this.#members = await makeMembers(this.#directory, this.#size);
    this.#endpoints = this.#members.map((member) => member.endpoint);
    for (const member of this.#members) member.start();
    await Promise.all(
      this.#members.map((member) => member.healthy(() => isHealthy(member.endpoint))),
    );
  };

  readonly agentSection = (): object => sectionOf(this.#endpoints, this.prefix);

  readonly controllerSection = (): object => sectionOf(this.#endpoints, this.prefix);

  readonly connect = async (): Promise<LabConnection> => {
    const kv = new EtcdKv(this.#options());
    const registry = new KvRegistry(kv, { skipped: () => undefined, closed: () => kv.close() });
    const totals = new EtcdTotals(this.#endpoints);
    const before = await totals.read();
    const first = await orNull(kv.get(["fleet"]));
    const counts = async (): Promise<RegistryCounts | null> => {
      const now = await orNull(kv.get(["fleet"]));
      if (now === null || first === null) return null;
      const { watchEvents, leaseRenewals } = await totals.read();
      return {
        // Every transaction that changes something is one revision.
        writes: now.revision - first.revision,
        writesByClass: {},
        leaseRenewals: leaseRenewals - before.leaseRenewals,
        watchEvents: watchEvents - before.watchEvents,
      };
    };
    return { registry, counts };
  };

  readonly connectGateways = (): Promise<GatewayRegistryPort> => connectGatewayRegistry({ kind: "etcd", ...this.#options() });

  readonly ports = (): readonly number[] => this.#endpoints.map(({ port }) => port);

  readonly stop = async (): Promise<void> => {
    if (!this.#isOwn) await this.#clear();
    await Promise.all(this.#members.map((member) => member.stop()));
  };

  #options(): EtcdOptions {
    return { endpoints: this.#endpoints, prefix: this.prefix, tls: null, login: null };
  }

  /** Leases end by themselves; records are taken out of a cluster that is not the lab's. */
  async #clear(): Promise<void> {
    const kv = new EtcdKv(this.#options());
    const classes = ["roster", "released/", "reports/", "fleet", "request", "rotations/"];
    for (const prefix of classes) {
      const keys = (await orNull(kv.range(prefix)))?.items.map(({ key }) => key) ?? [];
      for (let from = 0; from < keys.length; from += deletionsMax) {
        const part = keys.slice(from, from + deletionsMax);
        await orNull(kv.transaction([], part.map((key) => ({ kind: "delete", key }))));
      }
    }
    kv.close();
  }
}

/** The `registry` section that names these members. */
export function sectionOf(endpoints: readonly EtcdEndpoint[], prefix: string): object {
  const urls = endpoints.map((endpoint) => `http://${formatEndpoint(endpoint)}`);
  return { kind: "etcd", etcd: { endpoints: urls, prefix } };
}

async function makeMembers(directory: string, size: number): Promise<readonly EtcdMember[]> {
  const ports = await freePorts(2 * size);
  const names = Array.from({ length: size }, (_, index) => `etcd-${index + 1}`);
  const peerPorts = new Map(names.map((name, index) => [name, ports[size + index] ?? 0]));
  return Promise.all(
    names.map(async (name, index) => {
      const own = join(directory, name);
      await mkdir(own, { mode: 0o700 });
      const clientPort = ports[index] ?? 0;
      const peerPort = peerPorts.get(name) ?? 0;
      return new EtcdMember({ name, directory: own, clientPort, peerPort, peerPorts });
    }),
  );
}
