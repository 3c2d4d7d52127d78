/**
 * Kubernetes as a lab's registry: an API server of the lab on loopback, with an etcd of its own, which
 * ends with the lab. What a run costs is read from the API server's metrics.
 */
import { connectGatewayRegistry } from "../../adapters/registry/connect.js";
import { openAccess } from "../../adapters/registry/kubernetes/access.js";
import { ApiClient } from "../../adapters/registry/kubernetes/api-client.js";
import { registryOver } from "../../adapters/registry/kubernetes/open.js";
import { orNull } from "../../adapters/registry/settle.js";
import type { RegistryCounts } from "../fleet/registry-load.js";
import { LabError } from "../lab-error.js";
import { installDefinitions } from "../servers/kubernetes-definitions.js";
import { KubernetesServer } from "../servers/kubernetes.js";
import { countsOf } from "./kubernetes-metrics.js";
import type { LabConnection, LabRegistry } from "./lab-registry.js";

const namespace = "spindle-lab";

/** @param directory holds the servers' data and logs, and the kubeconfig */
export function kubernetesLabRegistry(directory: string): LabRegistry {
  let server: KubernetesServer | null = null;
  const started = (): KubernetesServer => {
    if (server === null) throw new LabError("LAB_REGISTRY_FAILED", "the API server was not started");
    return server;
  };
  const kubeconfigOf = (): string => started().writeKubeconfig("administrator", namespace);
  const section = (): object => ({ kind: "kubernetes", kubernetes: { kubeconfig: kubeconfigOf() } });
  return {
    agentSection: section,
    controllerSection: section,
    start: async () => {
      server = await KubernetesServer.start([], directory);
      const client = clientOf(server);
      await installDefinitions(client);
      const body = { apiVersion: "v1", kind: "Namespace", metadata: { name: namespace } };
      await client.send({ method: "POST", path: "/api/v1/namespaces", body });
      client.close();
    },
    connect: () => Promise.resolve(connect(started())),
    connectGateways: () => connectGatewayRegistry({ kind: "kubernetes", kubeconfig: kubeconfigOf(), context: null, namespace: null }),
    ports: () => [started().port],
    stop: async () => server?.stop(),
  };
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
