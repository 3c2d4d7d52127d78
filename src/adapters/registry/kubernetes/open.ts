/**
 * The registry port over Kubernetes. Who campaigns for the leadership is a controller: while it
 * leads it also keeps the roster (roster-leader.ts).
 */
import type { Stop } from "../../../ports/failure.js";
import type { GatewayRegistryPort } from "../../../ports/gateway-registry.js";
import type { Log } from "../../../ports/log.js";
import type { RegistryPort } from "../../../ports/registry.js";
import type { KvElection, KvLeases, KvReader } from "../kv.js";
import { KvRegistry, type RegistryWrites } from "../kv-registry.js";
import type { InvalidRecord } from "../records.js";
import { openAccess, type KubernetesPlace } from "./access.js";
import { ApiClient } from "./api-client.js";
import { Election } from "./election.js";
import { KvGatewayRegistry } from "../gateway-registry.js";
import { gatewayWritesOver } from "./gateway-writes.js";
import { NodeLeases } from "./node-leases.js";
import { ObjectReader } from "./object-reader.js";
import * as writes from "./object-writes.js";
import { register, remove } from "./registration.js";
import { leadRoster } from "./roster-leader.js";

export interface KubernetesRegistryOptions {
  /** While it leads: every node of the fleet is a Node of this cluster (roster-term.ts). */
  readonly followNodes?: boolean;
  readonly skipped: (record: InvalidRecord) => void;
  readonly log: Log;
}

/** @throws PortError KUBERNETES_ACCESS_INVALID */
export function connectKubernetes(
  place: KubernetesPlace,
  options: KubernetesRegistryOptions,
): RegistryPort {
  return registryOver(new ApiClient(openAccess(place)), options);
}

/** For what is no registry, such as a Secret. The caller closes it. @throws PortError KUBERNETES_ACCESS_INVALID */
export function openApiClient(place: KubernetesPlace): ApiClient {
  return new ApiClient(openAccess(place));
}

/** Owns `client`: closing the registry closes it. */
export function registryOver(
  client: ApiClient,
  { skipped, log, followNodes = false }: KubernetesRegistryOptions,
): RegistryPort {
  const store = storeOver(client);
  const closed = (): void => client.close();
  const lead = (): Stop => leadRoster(client, log, { followNodes });
  return new KvRegistry(store, { skipped, closed, lead }, writesOver(client));
}

/** The registry of VPN links in the same namespace. @throws PortError KUBERNETES_ACCESS_INVALID */
export function connectKubernetesGateways(place: KubernetesPlace, skipped: KubernetesRegistryOptions["skipped"]): GatewayRegistryPort {
  return gatewaysOver(new ApiClient(openAccess(place)), skipped);
}

/** Owns `client`. */
export function gatewaysOver(client: ApiClient, skipped: KubernetesRegistryOptions["skipped"]): GatewayRegistryPort {
  const options = { skipped, closed: (): void => client.close() };
  return new KvGatewayRegistry(new ObjectReader(client), options, gatewayWritesOver(client));
}

function storeOver(client: ApiClient): KvReader & KvLeases & KvElection {
  const reader = new ObjectReader(client);
  const leases = new NodeLeases(client);
  const election = new Election(client);
  return {
    get: (keys) => reader.get(keys),
    range: (prefix, limit, purpose) => reader.range(prefix, limit, purpose),
    watch: (prefix, after, listener) => reader.watch(prefix, after, listener),
    renewLease: (name, holder, leaseMs) => leases.renewLease(name, holder, leaseMs),
    leases: () => leases.leases(),
    lead: (candidate, leaseMs) => election.lead(candidate, leaseMs),
    resign: (candidate) => election.resign(candidate),
  };
}

function writesOver(client: ApiClient): RegistryWrites {
  return {
    register: (request) => register(client, request),
    remove: (name) => remove(client, name),
    publishReport: (report) => writes.publishReport(client, report),
    writeFleet: (record, version) => writes.writeFleet(client, record, version),
    putRequest: (request) => writes.putRequest(client, request),
    clearRequest: (id) => writes.clearRequest(client, id),
    putRotation: (record) => writes.putRotation(client, record),
  };
}
