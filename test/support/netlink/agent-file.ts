/** The configuration file of an agent of a test's fleet, for commands beside it. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FleetNode } from "./kernel-fleet.js";

export interface AgentFile {
  readonly path: string;
  remove(): void;
}

/** @param socket where the agent's status server listens */
export function writeAgentFile({ node }: FleetNode, socket: string): AgentFile {
  const folder = mkdtempSync("/run/agent-file-");
  const path = join(folder, "agent.yaml");
  const { ipv4, ipv6, udpPort } = node.addresses;
  const config = {
    schemaVersion: 1,
    node: { name: node.end.name, addresses: { ipv4, ipv6 }, ...(udpPort === null ? {} : { udpPort }) },
    stateDir: folder,
    registry: { socket: "/run/none.sock" },
    keyFile: { path: "/run/none" },
    dataplane: { kind: "kernel", encapsulation: udpPort === null ? "none" : "udp" },
    metrics: { listen: socket },
  };
  writeFileSync(path, JSON.stringify(config));
  return { path, remove: () => rmSync(folder, { recursive: true }) };
}
