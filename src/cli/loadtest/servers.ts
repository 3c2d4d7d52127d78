/** The registry that a load test puts under load: servers of its own, and what they cost. */
import { readFileSync } from "node:fs";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import type { ApiClient } from "../../adapters/registry/kubernetes/api-client.js";
import { unreachable } from "../../core/assert.js";
import { Program } from "../../lab/fleet/program.js";
import { EtcdLabRegistry } from "../../lab/registry/etcd.js";
import { EtcdTotals } from "../../lab/registry/etcd-metrics.js";
import { sentBytesOf } from "../../lab/registry/kubernetes-metrics.js";

export type LoadedRegistry = "embedded" | "etcd" | "kubernetes";

/** Null where the kind of registry does not say. */
export interface ServerUsage {
  readonly cpuSeconds: number | null;
  readonly sentBytes: number | null;
}

export interface LoadServer {
  readonly target: RegistryTarget;
  /** Since its start. */
  readonly usage: () => Promise<ServerUsage>;
  readonly stop: () => Promise<void>;
}

const stopGraceMs = 3_000;
/** Of /proc/PID/stat; 100 on every Linux (USER_HZ). */
const ticksPerSecond = 100;

/** Starts an empty registry in `directory`. @throws LabError */
export function startServer(
  kind: LoadedRegistry,
  directory: string,
  spindle: readonly string[],
): Promise<LoadServer> {
  switch (kind) {
    case "embedded":
      return startEmbedded(directory, spindle);
    case "etcd":
      return startEtcd(directory);
    case "kubernetes":
      return startKubernetes(directory);
    default:
      return unreachable(kind);
  }
}

/** In a process of its own, so that what it costs is told from what the agents cost. */
async function startEmbedded(directory: string, spindle: readonly string[]): Promise<LoadServer> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const path = join(directory, "registry.sock");
  const config = join(directory, "controller.yaml");
  // In pairwise coordination a controller only keeps the registry.
  const fields = {
    schemaVersion: 1,
    name: "loadtest",
    stateDir: join(directory, "state"),
    registry: { listen: { socket: path } },
    coordination: "pairwise",
    metrics: { enabled: false },
  };
  await writeFile(config, JSON.stringify(fields), { mode: 0o600 });
  const spec = {
    name: "registry",
    command: () => [...spindle, "lab-controller", "--config", config],
    logPath: join(directory, "registry.log"),
    pidPath: join(directory, "registry.pid"),
  };
  const program = new Program(spec, {});
  program.start();
  return {
    target: { kind: "embedded", address: { kind: "unix", path } },
    usage: () => Promise.resolve({ cpuSeconds: cpuSecondsOf(program.pid), sentBytes: null }),
    stop: () => program.stop(stopGraceMs),
  };
}

async function startEtcd(directory: string): Promise<LoadServer> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const registry = new EtcdLabRegistry({ directory, endpoints: [], size: 1 });
  try {
    await registry.start();
  } catch (cause) {
    await registry.stop();
    throw cause;
  }
  const totals = new EtcdTotals(registry.endpoints);
  const target = {
    kind: "etcd" as const,
    endpoints: registry.endpoints,
    prefix: registry.prefix,
    tls: null,
    login: null,
  };
  const usage = async (): Promise<ServerUsage> => {
    const { cpuSeconds, sentBytes } = await totals.read();
    return { cpuSeconds, sentBytes };
  };
  return { target, usage, stop: registry.stop };
}

/** An API server and its etcd; the API server's time is told, as it does the work. */
async function startKubernetes(directory: string): Promise<LoadServer> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const { KubernetesServer } = await import("../../lab/servers/kubernetes.js");
  const { installDefinitions } = await import("../../lab/servers/kubernetes-definitions.js");
  const { ApiClient: Client } = await import("../../adapters/registry/kubernetes/api-client.js");
  const { openAccess } = await import("../../adapters/registry/kubernetes/access.js");
  const server = await KubernetesServer.start([agentUser], directory);
  const administrator = server.writeKubeconfig("administrator", "default");
  const client = new Client(openAccess({ kubeconfig: administrator, context: null, namespace: null }));
  try {
    await installDefinitions(client);
    await grantAll(client);
  } catch (cause) {
    client.close();
    await server.stop();
    throw cause;
  }
  const usage = async (): Promise<ServerUsage> => {
    const sentBytes = sentBytesOf(await client.fetchText("/metrics"));
    return { cpuSeconds: cpuSecondsOf(server.processId), sentBytes };
  };
  const stop = (): Promise<void> => {
    client.close();
    return server.stop();
  };
  const kubeconfig = server.writeKubeconfig(agentUser.user, "default");
  return { target: { kind: "kubernetes", kubeconfig, context: null, namespace: null }, usage, stop };
}

/**
 * A service account as in a cluster: the API server bounds and queues the requests of those, and of administrators it takes
 * as many as come.
 */
const agentUser = {
  user: "system:serviceaccount:default:spindle",
  groups: ["system:serviceaccounts", "system:serviceaccounts:default"],
};

async function grantAll(client: ApiClient): Promise<void> {
  const group = "rbac.authorization.k8s.io";
  const body = {
    apiVersion: `${group}/v1`,
    kind: "ClusterRoleBinding",
    metadata: { name: "loadtest" },
    roleRef: { apiGroup: group, kind: "ClusterRole", name: "cluster-admin" },
    subjects: [{ apiGroup: group, kind: "User", name: agentUser.user }],
  };
  await client.send({ method: "POST", path: `/apis/${group}/v1/clusterrolebindings`, body });
}

/** User and system time (proc(5)); null where there is no /proc. */
function cpuSecondsOf(pid: number | null): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
  } catch {
    return null;
  }
}
