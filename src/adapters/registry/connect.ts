/**
 * The one way from a configuration to the registry of a fleet, for agents, controllers and
 * commands. Each kind is loaded when it is used: an agent carries the weight of one.
 */
import { connect, type Socket } from "node:net";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { Log } from "../../ports/log.js";
import type { RegistryPort } from "../../ports/registry.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { connectTo, formatAddress } from "./embedded/listen.js";
import { formatEndpoint, type EtcdOptions } from "./etcd/options.js";
import type { KubernetesPlace } from "./kubernetes/access.js";
import type { InvalidRecord } from "./records.js";

/** Where a registry is, and how it is spoken to. */
export type RegistryTarget = EmbeddedTarget | EtcdTarget | KubernetesTarget;

export interface EmbeddedTarget {
  readonly kind: "embedded";
  readonly address: ServiceAddress;
}

export interface EtcdTarget extends EtcdOptions {
  readonly kind: "etcd";
}

export interface KubernetesTarget extends KubernetesPlace {
  readonly kind: "kubernetes";
  /** Of a controller: every node of the fleet is a Node of the cluster, and leaves the roster with it. */
  readonly followNodes?: boolean;
}

export interface ConnectRegistryOptions {
  /** Called for each stored record that is skipped because this version cannot read it. */
  readonly skipped?: (record: InvalidRecord) => void;
  /** On Kubernetes a leader keeps the roster, and says here what it meets. */
  readonly log?: Log;
}

/**
 * Comes back by itself whenever the connection breaks, so it may be called before the registry is
 * there. Closing the port closes the connection.
 * @throws PortError REGISTRY_ADDRESS_REFUSED, REGISTRY_TLS_UNREADABLE, REGISTRY_PASSWORD_UNREADABLE,
 * KUBERNETES_ACCESS_INVALID
 */
export async function connectRegistry(
  target: RegistryTarget,
  { skipped = ignore, log = { write: ignore } }: ConnectRegistryOptions = {},
): Promise<RegistryPort> {
  if (target.kind === "etcd") {
    const { connectEtcd } = await import("./etcd/open.js");
    return connectEtcd(target, skipped);
  }
  if (target.kind === "kubernetes") {
    const { connectKubernetes } = await import("./kubernetes/open.js");
    return connectKubernetes(target, { skipped, log, followNodes: target.followNodes ?? false });
  }
  const { connectEmbedded } = await import("./embedded/open.js");
  return connectEmbedded({ address: target.address, skipped }).registry;
}

/** The same for the VPN links that a registry holds. */
export async function connectGatewayRegistry(
  target: RegistryTarget,
  { skipped = ignore }: ConnectRegistryOptions = {},
): Promise<GatewayRegistryPort> {
  if (target.kind === "etcd") {
    const { connectEtcdGateways } = await import("./etcd/open.js");
    return connectEtcdGateways(target, skipped);
  }
  if (target.kind === "kubernetes") {
    const { connectKubernetesGateways } = await import("./kubernetes/open.js");
    return connectKubernetesGateways(target, skipped);
  }
  const { connectEmbeddedGateways } = await import("./embedded/open.js");
  return connectEmbeddedGateways({ address: target.address, skipped });
}

/** For people: what the target is called in messages. */
export function formatTarget(target: RegistryTarget): string {
  if (target.kind === "embedded") return formatAddress(target.address);
  if (target.kind === "kubernetes") return formatKubernetes(target);
  return `etcd ${target.endpoints.map(formatEndpoint).join(", ")}`;
}

/** For people: what to check when it does not answer. */
export function hintForTarget({ kind }: RegistryTarget): string {
  switch (kind) {
    case "embedded":
      return "check that the controller which keeps it runs, and that this user may open its socket";
    case "etcd":
      return "check that the cluster has a leader, and the endpoints, certificates and user in that file";
    case "kubernetes":
      return "check the API server's address, and that the definitions of spindle.dev are installed";
  }
}

/** Why no connection can be made within `withinMs`, null when one can. */
export async function probeRegistry(
  target: RegistryTarget,
  withinMs: number,
): Promise<string | null> {
  const sockets = await socketsTo(target);
  const reasons = await Promise.all(sockets.map((socket) => probe(socket, withinMs)));
  return reasons.includes(null) ? null : reasons.join("; ");
}

async function socketsTo(target: RegistryTarget): Promise<readonly Socket[]> {
  if (target.kind === "embedded") return [connectTo(target.address)];
  if (target.kind === "etcd") {
    return target.endpoints.map(({ host, port }) => connect(port, host));
  }
  const { openAccess } = await import("./kubernetes/access.js");
  const { hostname, port } = openAccess(target).url;
  return [connect(Number(port === "" ? 443 : port), hostname.replace(/^\[|\]$/g, ""))];
}

function formatKubernetes({ kubeconfig, context, namespace }: KubernetesTarget): string {
  const place = kubernetes(kubeconfig, context);
  return namespace === null ? place : `${place}, namespace ${namespace}`;
}

function kubernetes(kubeconfig: string | null, context: string | null): string {
  if (kubeconfig === null) return "the Kubernetes of this pod";
  return `the Kubernetes of ${kubeconfig}${context === null ? "" : `, context ${context}`}`;
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
