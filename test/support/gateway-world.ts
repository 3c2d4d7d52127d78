/**
 * Two sites in two network namespaces on one wire, for tests with real OpenVPN:
 *
 *   NAME-a  10.99.0.1 ─── veth ─── 10.99.0.2  NAME-b
 *   10.101.0.1 (behind a)          10.102.0.1 (behind b); a has a route to 10.103.0.0/16 behind b, too
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endProcess, findProcesses } from "../../src/adapters/openvpn/processes.js";
import type { LinkSettings } from "../../src/adapters/openvpn/place.js";
import type { Link, LinkName, SiteName } from "../../src/core/gateway/link.js";
import { ip, ipBatch, makeNamespace, type Namespace } from "./netlink/namespace.js";

export interface GatewayWorld {
  readonly directory: string;
  readonly namespaces: { readonly server: string; readonly client: string };
  readonly link: Link;
  readonly settings: { readonly server: LinkSettings; readonly client: LinkSettings };
  close(): Promise<void>;
}

export function makeGatewayWorld(name: string): GatewayWorld {
  const directory = mkdtempSync(join(tmpdir(), "spindle-gateways-"));
  // A run that was killed leaves its namespaces: they are not in the way of the next one.
  const [server, client] = [makeNamespace(`${name}-${process.pid}-a`), makeNamespace(`${name}-${process.pid}-b`)];
  ip("link", "add", "wire", "netns", server.name, "type", "veth", "peer", "name", "wire", "netns", client.name);
  setUp(server, "10.99.0.1/24", "10.101.0.1/32");
  setUp(client, "10.99.0.2/24", "10.102.0.1/32");
  const link = { name: "a-b" as LinkName, server: "a" as SiteName, client: "b" as SiteName, pairs: 2 };
  const common = { name: link.name, address: "10.99.0.1", firstPort: 11_940, tunnelNetwork: "169.254.77.0" };
  return {
    directory,
    namespaces: { server: server.name, client: client.name },
    link,
    settings: {
      server: { ...common, remoteNetworks: [network("10.102.0.0"), network("10.103.0.0")], preferredSource: "10.101.0.1" },
      client: { ...common, remoteNetworks: [network("10.101.0.0")], preferredSource: "10.102.0.1" },
    },
    async close() {
      for (const target of await findProcesses(directory)) await endProcess(target);
      server.close();
      client.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function network(address: string): LinkSettings["remoteNetworks"][number] {
  return { family: "ipv4", address, length: 16 };
}

function setUp(namespace: Namespace, wire: string, behind: string): void {
  const lines = ["link set lo up", `addr add ${behind} dev lo`, `addr add ${wire} dev wire`, "link set wire up"];
  ipBatch(lines, namespace);
}
