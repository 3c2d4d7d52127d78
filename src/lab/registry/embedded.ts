/** The embedded registry in the lab: the controller keeps it, on a unix socket of the lab. */
import { connectGatewayRegistry } from "../../adapters/registry/connect.js";
import { connectEmbedded } from "../../adapters/registry/embedded/open.js";
import type { RegistryStatistics } from "../../adapters/registry/embedded/statistics.js";
import { sum, type RegistryCounts } from "../fleet/registry-load.js";
import type { LabConnection, LabRegistry } from "./lab-registry.js";

export function embeddedLabRegistry(socket: string): LabRegistry {
  return {
    agentSection: () => ({ socket }),
    controllerSection: () => ({ listen: { socket } }),
    start: () => Promise.resolve(),
    connect: () => Promise.resolve(connect(socket)),
    connectGateways: () => connectGatewayRegistry({ kind: "embedded", address: { kind: "unix", path: socket } }),
    ports: () => [],
    stop: () => Promise.resolve(),
  };
}

function connect(path: string): LabConnection {
  const { registry, statistics } = connectEmbedded({ address: { kind: "unix", path } });
  const counts = (): Promise<RegistryCounts | null> =>
    new Promise((resolve) => {
      statistics((result) => resolve(result.ok ? countsOf(result.value) : null));
    });
  return { registry, counts };
}

function countsOf(statistics: RegistryStatistics): RegistryCounts {
  return {
    writes: sum(statistics.writes),
    writesByClass: statistics.writes,
    leaseRenewals: statistics.leaseRenewals,
    watchEvents: sum(statistics.watchEvents),
  };
}
