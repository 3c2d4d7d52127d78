/**
 * Kubernetes as a lab's registry: an API server of the lab on loopback, with an etcd of its own, which
 * ends with the lab. What a run costs is read from the API server's metrics.
 */
import { connectGatewayRegistry } from "../../adapters/registry/connect.js";
import { openAccess } from "../../adapters/registry/kubernetes/access.js";
import { ApiClient } from "../../adapters/registry/kubernetes/api-client.js";
import { registryOver } from "../../adapters/registry/kubernetes/open.js";
import { orNull } from "../../adapters/registry/settle.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { RegistryCounts } from "../fleet/registry-load.js";
import { LabError } from "../lab-error.js";
import { installDefinitions } from "../servers/kubernetes-definitions.js";
import { KubernetesServer, type WayToEtcd } from "../servers/kubernetes.js";
import { countsOf } from "./kubernetes-metrics.js";
import type { LabConnection, LabRegistry } from "./lab-registry.js";

const namespace = "spindle-lab";

export class KubernetesLabRegistry implements LabRegistry {
  readonly #directory: string;
  readonly #wayToEtcd: WayToEtcd | undefined;
  #server: KubernetesServer | null = null;

  /** @param directory holds the servers' data and logs, and the kubeconfigs */
  constructor(directory: string, wayToEtcd?: WayToEtcd) {
    this.#directory = directory;
    this.#wayToEtcd = wayToEtcd;
  }

  /** @throws LabError before `start` */
  get server(): KubernetesServer {
    if (this.#server !== null) return this.#server;
    throw new LabError("LAB_REGISTRY_FAILED", "the API server was not started");
  }

  readonly start = async (): Promise<void> => {
    this.#server = await KubernetesServer.start([], this.#directory, [], this.#wayToEtcd);
    const client = clientOf(this.#server);
    await installDefinitions(client);
    const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
    await client.send({ method: "POST", path: "/api/v1/namespaces", body });
    client.close();
  };

  /** The `registry` section of a program's file. @param port of a way to the server */
  section(port?: number): object {
    return { kind: "kubernetes", kubernetes: { kubeconfig: this.#kubeconfig(port) } };
  }

  readonly agentSection = (): object => this.section();

  readonly controllerSection = (): object => this.section();

  readonly connect = (): Promise<LabConnection> => Promise.resolve(connect(this.server));

  readonly connectGateways = (): Promise<GatewayRegistryPort> =>
    connectGatewayRegistry({ kind: "kubernetes", kubeconfig: this.#kubeconfig(), context: null, namespace: null });

  readonly ports = (): readonly number[] => [this.server.port];

  readonly stop = async (): Promise<void> => this.#server?.stop();

  #kubeconfig(port?: number): string {
    return this.server.writeKubeconfig("administrator", namespace, port);
  }
}

function connect(server: KubernetesServer): LabConnection {
  const client = clientOf(server);
  const ignore = (): void => undefined;
  const registry = registryOver(client, { skipped: ignore, log: { write: ignore } });
  const counts = async (): Promise<RegistryCounts | null> => {
    const text = await orNull(client.fetchText("/metrics"));
    return text === null ? null : countsOf(text);
  };
  return { registry, counts };
}

function clientOf(server: KubernetesServer): ApiClient {
  const kubeconfig = server.writeKubeconfig("administrator", namespace);
  return new ApiClient(openAccess({ kubeconfig, context: null, namespace: null }));
}
