/** Hub and two sites of ours, as `spindle gateway` runs them, on any registry. */
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { systemClock } from "../../adapters/system/clock.js";
import type { LinkRecord, LinkRequest } from "../../core/gateway/record.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { Server } from "node:net";
import { LabError } from "../lab-error.js";
import type { FleetPlace, GatewayFleet } from "./gateway-fleet.js";
import { openRelay, type RelaySettings } from "./relay.js";
import type { WorldSite } from "./world.js";

export const openvpnPath = "/usr/sbin/openvpn";

export class SpindleFleet implements GatewayFleet {
  readonly #place: FleetPlace;
  readonly #relays: Server[] = [];
  #registry: GatewayRegistryPort | null = null;
  #record: LinkRecord | null = null;
  #request: string | null = null;
  openvpnVersion = "";

  constructor(place: FleetPlace) {
    this.#place = place;
  }

  async start(): Promise<void> {
    const { directory, world, registry, start } = this.#place;
    this.openvpnVersion = await readOpenvpnVersion();
    const hub = await this.#write("hub", {
      schemaVersion: 1,
      name: "hub",
      stateDir: join(directory, "hub"),
      registry: registry.controllerSection(),
      links: [world.link],
    });
    start("hub-program", ["hub", hub], null);
    for (const port of registry.ports()) await this.#letIn(port);
    for (const site of [world.server, world.client]) {
      const file = await this.#write(`site-${site.name}`, siteFile(site, directory, registry.agentSection(0)));
      start(`site-${site.name}-program`, ["site", file], site);
    }
    this.#registry = await registry.connectGateways();
    this.#registry.watchLinks(null, (event) => {
      if (event.kind === "put") this.#record = event.item.record;
      if (event.kind === "listing") this.#record = event.items[0]?.record ?? null;
    });
  }

  get isReady(): boolean {
    const { pairs = [], rotation = null } = this.#record ?? {};
    return rotation?.outcome === "done" && pairs.every(({ current }) => current !== null);
  }

  async rotate(): Promise<void> {
    this.#request = randomUUID();
    const request: LinkRequest = {
      schemaVersion: 1,
      id: this.#request,
      link: this.#place.world.link.name,
      why: "the lab's",
      by: "lab",
      at: systemClock.wallAt(),
    };
    await new Promise<void>((done, failed) => {
      this.#registry!.putLinkRequest(request, (result) => {
        if (result.ok) done();
        else failed(new LabError("LAB_REGISTRY_FAILED", result.error.message));
      });
    });
  }

  get outcome(): string | null {
    const record = this.#record;
    if (record === null || record.answeredRequest !== this.#request) return null;
    const { outcome = null } = record.rotation ?? {};
    return outcome === "running" ? null : outcome;
  }

  get phase(): string {
    const { pairs = [], rotation } = this.#record ?? {};
    const done = `${rotation?.done.length ?? 0} of ${rotation?.planned.length ?? 0} pairs done`;
    const moving = pairs.flatMap(({ index, next }) => (next === null ? [] : [`pair ${index} ${next.phase}, `]));
    return `${moving.join("")}${done}`;
  }

  close(): void {
    this.#registry?.close();
    for (const relay of this.#relays) relay.close();
  }

  /** Both sites reach the port of this machine's loopback by the same number of their own. */
  async #letIn(port: number): Promise<void> {
    const { directory, world, start } = this.#place;
    const path = join(directory, `port-${port}.sock`);
    this.#relays.push(await openRelay({ listen: { path }, target: { port } }));
    const settings: RelaySettings = { listen: { port }, target: { path } };
    for (const site of [world.server, world.client]) start(`relay-${site.name}-${port}`, ["relay", JSON.stringify(settings)], site);
  }

  async #write(name: string, content: object): Promise<string> {
    const folder = join(this.#place.directory, name);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const file = join(folder, "config.yaml");
    // JSON is YAML.
    await writeFile(file, JSON.stringify(content, null, 2));
    return file;
  }
}

function siteFile({ name, settings }: WorldSite, directory: string, registry: object): object {
  const { remoteNetworks, preferredSource, ...link } = settings;
  return {
    schemaVersion: 1,
    site: name,
    stateDir: join(directory, `s-${name}`),
    registry,
    openvpn: openvpnPath,
    links: [{ ...link, preferredSource, remoteNetworks: remoteNetworks.map(({ address, length }) => `${address}/${length}`) }],
  };
}

/** @throws LabError LAB_OPENVPN_MISSING */
export async function readOpenvpnVersion(): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(openvpnPath, ["--version"]).catch((cause: { stdout?: string }) => {
      // It ends with 1 after it told its version.
      if (cause.stdout !== undefined && cause.stdout !== "") return { stdout: cause.stdout };
      throw cause;
    });
    return /^OpenVPN (\S+)/.exec(stdout)?.[1] ?? "unknown";
  } catch {
    throw new LabError("LAB_OPENVPN_MISSING", `${openvpnPath} cannot be run: apt-get install openvpn`);
  }
}
