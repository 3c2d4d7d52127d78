/**
 * The machine room of a lab of gateways: two sites in namespaces of their own on one cable.
 *
 *   site a (server)  192.0.2.1 ─── wire ─── 192.0.2.2  site b (client)
 *   behind it: 10.101.0.1                   behind it: 10.102.0.1 and more, one for each flow of traffic
 */
import { readFileSync } from "node:fs";
import type { LinkSettings } from "../../adapters/openvpn/place.js";
import type { Link, LinkName, SiteName } from "../../core/gateway/link.js";
import { openNamespaces, type NetworkNamespace } from "../network/namespace.js";

export const flowsCount = 6;
export const trafficPort = 7_007;

export interface GatewayWorld {
  readonly link: Link;
  readonly server: WorldSite;
  readonly client: WorldSite;
  /** They go when their programs have ended, too. */
  close(): void;
}

export interface WorldSite {
  readonly name: SiteName;
  readonly namespace: NetworkNamespace;
  /** Behind the site: traffic comes from and goes to these. */
  readonly addresses: readonly string[];
  readonly settings: LinkSettings;
}

const linkName = "a-b" as LinkName;
const common = { name: linkName, address: "192.0.2.1", firstPort: 11_940, tunnelNetwork: "169.254.77.0" } as const;

/** @throws LabError LAB_NETWORK_UNAVAILABLE */
export async function makeGatewayWorld(pairs: number): Promise<GatewayWorld> {
  const make = await openNamespaces();
  const link = { name: linkName, server: "a" as SiteName, client: "b" as SiteName, pairs };
  const server = siteOf(link.server, make("site a"), ["10.101.0.1"], "10.102.0.0");
  const client = siteOf(link.client, make("site b"), flowAddresses(), "10.101.0.0");
  const close = (): void => {
    server.namespace.close();
    client.namespace.close();
  };
  try {
    server.namespace.ip([`link add wire type veth peer name wire netns ${client.namespace.path}`]);
    setUp(server, "192.0.2.1/24");
    setUp(client, "192.0.2.2/24");
    return { link, server, client, close };
  } catch (cause) {
    close();
    throw cause;
  }
}

function siteOf(name: SiteName, namespace: NetworkNamespace, addresses: readonly string[], remote: string): WorldSite {
  const remoteNetworks = [{ family: "ipv4", address: remote, length: 16 }] as const;
  return { name, namespace, addresses, settings: { ...common, remoteNetworks, preferredSource: addresses[0]! } };
}

function flowAddresses(): readonly string[] {
  return Array.from({ length: flowsCount }, (_, index) => `10.102.0.${index + 1}`);
}

function setUp({ namespace, addresses }: WorldSite, wire: string): void {
  namespace.ip([
    "link set lo up",
    ...addresses.map((address) => `addr add ${address}/32 dev lo`),
    `addr add ${wire} dev wire`,
    "link set wire up",
  ]);
}

/** Program and arguments that run the given ones at a site. */
export function insideOf({ namespace }: WorldSite, words: readonly string[]): readonly string[] {
  return ["nsenter", `--net=${namespace.path}`, ...words];
}

/** Packets at both sites so far that found a socket's buffer full: their program waited for a processor. */
export function socketDrops({ server, client }: GatewayWorld): number {
  return [server, client].reduce((sum, { namespace }) => sum + namespace.within(receiveBufferErrors), 0);
}

function receiveBufferErrors(): number {
  const [names = "", values = ""] = readFileSync("/proc/thread-self/net/snmp", "utf8").match(/^Udp: .*$/gm) ?? [];
  return Number(values.split(" ")[names.split(" ").indexOf("RcvbufErrors")]);
}
