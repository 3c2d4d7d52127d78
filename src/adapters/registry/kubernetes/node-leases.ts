/**
 * Liveness of nodes: one Lease object per node. What has ended is found by watching versions on this
 * program's own monotonic clock, since clocks of machines differ: a lease counts as ended when its
 * version was the same for its whole time, counted from when this program first saw it.
 */
import { limits } from "../../../core/limits.js";
import type { KvLease, KvLeases } from "../kv.js";
import { PortError } from "../../port-error.js";
import { systemClock } from "../../system/clock.js";
import type { ApiClient } from "./api-client.js";
import { leasesPath, versionOf, type KubeObject } from "./kube-object.js";
import { listObjects } from "./list-objects.js";
import { leaseMsOf, leaseObject } from "./lease-object.js";

const namePrefix = "spindle-node-";
const label = "spindle.dev/lease";

/** How one node stands with its lease. */
export interface LeaseStanding {
  readonly isAlive: boolean;
  readonly leaseMs: number;
}

interface Sighting {
  readonly version: string;
  readonly sinceMs: number;
}

export class NodeLeases implements KvLeases {
  readonly #client: ApiClient;
  #sightings = new Map<string, Sighting>();
  /** Under way: a server that is too slow for its renewals would else get more of them for each that waits. */
  readonly #renewals = new Map<string, Promise<void>>();

  constructor(client: ApiClient) {
    this.#client = client;
  }

  renewLease(name: string, holder: string, leaseMs: number): Promise<void> {
    const id = `${name} ${holder}`;
    const underWay = this.#renewals.get(id);
    if (underWay !== undefined) return underWay;
    const renewal = this.#renew(name, holder, leaseMs).finally(() => this.#renewals.delete(id));
    this.#renewals.set(id, renewal);
    return renewal;
  }

  async #renew(name: string, holder: string, leaseMs: number): Promise<void> {
    const path = leasesPath(this.#client.namespace);
    const metadata = { name: namePrefix + name, labels: { [label]: "node" } };
    const body = leaseObject(metadata, holder, leaseMs);
    const renewed = await this.#client.send({ method: "PATCH", path: `${path}/${metadata.name}`, body });
    if (renewed.kind === "object") return;
    const created = await this.#client.send({ method: "POST", path, body });
    // Another client of the same node made it in between.
    if (created.kind === "conflict") return this.#renew(name, holder, leaseMs);
    if (created.kind === "absent") throw noNamespace(this.#client.namespace);
  }

  async leases(): Promise<readonly KvLease[]> {
    return (await this.#list()).filter(({ isAlive }) => isAlive).map(({ object }) => leaseOf(object));
  }

  /** By node; those that have no lease are not there. */
  async standings(): Promise<ReadonlyMap<string, LeaseStanding>> {
    const seen = await this.#list();
    return new Map(seen.map(({ object, isAlive }) => [leaseOf(object).name, { isAlive, leaseMs: durationOf(object) }]));
  }

  async forget(name: string): Promise<void> {
    await this.#client.remove(`${leasesPath(this.#client.namespace)}/${namePrefix}${name}`);
  }

  async #list(): Promise<readonly { readonly object: KubeObject; readonly isAlive: boolean }[]> {
    const path = leasesPath(this.#client.namespace);
    const { objects } = await listObjects(this.#client, path, { labelSelector: `${label}=node` });
    const nowMs = systemClock.nowMs();
    this.#sightings = new Map(objects.map((object) => this.#sight(object, nowMs)));
    return objects.map((object) => ({ object, isAlive: this.#isAlive(object, nowMs) }));
  }

  #sight({ metadata }: KubeObject, nowMs: number): [string, Sighting] {
    const { name, resourceVersion: version } = metadata;
    const last = this.#sightings.get(name);
    return [name, last?.version === version ? last : { version, sinceMs: nowMs }];
  }

  #isAlive(object: KubeObject, nowMs: number): boolean {
    const sinceMs = this.#sightings.get(object.metadata.name)?.sinceMs ?? nowMs;
    return nowMs - sinceMs < durationOf(object);
  }
}

function durationOf(object: KubeObject): number {
  return leaseMsOf(object) ?? limits.leaseMsDefault;
}

function leaseOf({ metadata, spec }: KubeObject): KvLease {
  const holder =
    typeof spec === "object" && spec !== null && "holderIdentity" in spec ? spec.holderIdentity : "";
  const name = metadata.name.slice(namePrefix.length);
  return { name, holder: String(holder), beat: versionOf(metadata.resourceVersion) };
}

function noNamespace(namespace: string): PortError {
  const message = `there is no namespace ${namespace} on the API server`;
  return new PortError("KUBERNETES_NOT_INSTALLED", message, true);
}
