/** Hub, sites, tunnels, traffic and registry in one virtual time; the hub's and the sites' code is that of production. */
import { sideOf, type Link, type LinkName, type SiteName } from "../../core/gateway/link.js";
import type { HubOptions } from "../../core/gateway/hub/state.js";
import type { LinkRecord } from "../../core/gateway/record.js";
import type { SiteOptions } from "../../core/gateway/site/state.js";
import { limits } from "../../core/limits.js";
import { makePrng, type Prng } from "../../core/prng.js";
import type { Clock } from "../../ports/clock.js";
import type { Log, LogFields, LogLevel } from "../../ports/log.js";
import { HubLoop } from "../../runtime/gateway-hub-loop.js";
import type { StepHub } from "../../runtime/gateway-hub-machine.js";
import { SiteLoop } from "../../runtime/gateway-site-loop.js";
import type { StepSite } from "../../runtime/gateway-site-machine.js";
import { VirtualTime } from "../engine/virtual-time.js";
import { SimIssuer, type IssuerOptions } from "./issuer.js";
import { SimGatewayRegistry, type GatewayClient } from "./registry.js";
import { storagePort, tunnelPort, type SimSite } from "./site.js";
import { LinkTraffic } from "./traffic.js";
import { SimTunnels, type Endpoint, type TunnelTimes } from "./tunnels.js";

export interface GatewayLogLine {
  readonly atMs: number;
  readonly who: string;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export interface GatewaySimOptions {
  readonly seed: number;
  readonly links: readonly Link[];
  readonly hub?: Partial<HubOptions>;
  readonly site?: Partial<SiteOptions>;
  readonly issuer?: Partial<IssuerOptions>;
  readonly tunnels?: Partial<TunnelTimes>;
  readonly packetEveryMs?: number;
  /** So long after the start it is midnight; 15 hours unless said. */
  readonly untilMidnightMs?: number;
  /** Made anew for each program: a wrapper may remember things. */
  readonly stepHub?: () => StepHub;
  readonly stepSite?: () => StepSite;
}

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;

export const simHub: HubOptions = {
  intervalMs: 30 * dayMs,
  jitterMs: 0,
  renewBeforeMs: 10 * dayMs,
  linksAtOnceMax: 2,
  canaryShare: 0,
  holdMs: 0,
  silentMs: limits.gatewaySilentMs,
};

const simIssuer: IssuerOptions = { issueMs: 150, validityMs: 60 * dayMs, rootMs: 365 * dayMs };
const simTunnels: TunnelTimes = { startMs: 400, handshakeMs: 700, pingRestartMs: 10_000 };

interface SimHub {
  readonly loop: HubLoop;
  readonly client: GatewayClient;
}

export class SimGatewayFleet {
  readonly time = new VirtualTime();
  readonly prng: Prng;
  readonly options: GatewaySimOptions;
  readonly registry: SimGatewayRegistry;
  readonly issuer: SimIssuer;
  readonly tunnels: SimTunnels;
  readonly traffic: LinkTraffic;
  readonly sites = new Map<SiteName, SimSite>();
  readonly logs: GatewayLogLine[] = [];
  /** Told before a site removes a gateway. */
  removing: (site: SimSite, endpoint: Endpoint) => void = () => undefined;
  hub: SimHub | null = null;
  links: readonly Link[];
  /** Of the hub's wall clock, from the true time. */
  hubSkewMs = 0;
  #requests = 0;

  constructor(options: GatewaySimOptions) {
    this.options = options;
    this.links = options.links;
    this.prng = makePrng(options.seed);
    this.registry = new SimGatewayRegistry(this.time, this.prng);
    this.issuer = new SimIssuer(this.time, this.prng, { ...simIssuer, ...options.issuer }, () => this.wallMs);
    const wallOf = (site: SiteName): number => this.wallMs + (this.sites.get(site)?.skewMs ?? 0);
    this.tunnels = new SimTunnels(this.time, this.prng, { ...simTunnels, ...options.tunnels }, wallOf);
    this.traffic = new LinkTraffic(this.time, this.tunnels);
    this.tunnels.changed = ({ site, link }) => this.site(site).touched.forEach((touch) => touch(link));
    for (const link of options.links) for (const name of [link.server, link.client]) this.#addSite(name);
  }

  /** True wall-clock time. */
  get wallMs(): number {
    return midnightMs - (this.options.untilMidnightMs ?? 15 * hourMs) + Math.floor(this.time.nowMs);
  }

  site(name: SiteName): SimSite {
    const site = this.sites.get(name);
    if (site === undefined) throw new Error(`no site ${name}`);
    return site;
  }

  record(link: LinkName): LinkRecord | undefined {
    return this.registry.links.get(link)?.record;
  }

  run(ms: number): void {
    this.time.runUntil(this.time.nowMs + ms);
  }

  /** Runs until `holds`, at most `limitMs`; true when it came about. */
  runUntil(holds: () => boolean, limitMs: number, stepMs = 10): boolean {
    const endMs = this.time.nowMs + limitMs;
    while (!holds() && this.time.nowMs < endMs) this.run(stepMs);
    return holds();
  }

  /** Hub and sites start, links get their first generation, traffic begins. */
  bringUp(limitMs = 600_000): boolean {
    this.startHub();
    for (const name of this.sites.keys()) this.startSite(name);
    const isUp = this.runUntil(() => this.links.every((link) => this.isAtRest(link)), limitMs, this.links.length > 100 ? 2_000 : 100);
    for (const link of this.links) {
      const sites = { server: this.site(link.server), client: this.site(link.client) };
      this.traffic.begin(link, sites, this.options.packetEveryMs ?? 10);
    }
    return isUp;
  }

  /** Every pair has a generation, none is on its way, and the route of both sides leads through just those. */
  isAtRest(link: Link): boolean {
    const record = this.record(link.name);
    if (record === undefined || record.rotation?.outcome !== "done") return false;
    return record.pairs.every(({ current, next, index }) => {
      if (current === null || next !== null) return false;
      return (["server", "client"] as const).every((side) => {
        const here = this.tunnels.of(link.name, side).filter((endpoint) => endpoint.pair === index);
        const hops = (this.site(link[side]).routes.get(link.name) ?? []).filter((hop) => hop.pair === index);
        const isAlone = here.length === 1 && here[0]?.number === current.number && here[0].session !== null;
        return isAlone && hops.length === 1 && hops[0]?.number === current.number;
      });
    });
  }

  /** @param desired null for a hub whose file names no links */
  startHub(desired: readonly Link[] | null = this.links): void {
    this.stopHub();
    this.hub = this.#newHub("hub", desired, (client) => this.hub?.client === client);
    this.hub.loop.start();
  }

  /** Another hub with the same configuration. */
  startSecondHub(): void {
    this.#newHub("second hub", this.links, () => true).loop.start();
  }

  #newHub(name: string, desired: readonly Link[] | null, isRunning: (client: GatewayClient) => boolean): SimHub {
    const client: GatewayClient = { isAlive: () => isRunning(client), isCutOff: false };
    const clock = this.#clock(0, client.isAlive);
    const ports = {
      clock,
      wallMs: () => this.wallMs + this.hubSkewMs,
      registry: this.registry.connect(client),
      issuer: this.issuer.port(client.isAlive),
      log: this.#log(name),
    };
    const loop = new HubLoop({ ...simHub, ...this.options.hub }, desired, ports, this.options.stepHub?.());
    return { loop, client };
  }

  /** From one moment to the next. */
  stopHub(): void {
    this.hub?.loop.stop();
    this.hub = null;
  }

  startSite(name: SiteName): void {
    this.killSite(name);
    const site = this.site(name);
    const isAlive = (): boolean => site.program?.client === client && site.program.alive;
    const client: GatewayClient = { isAlive, isCutOff: false };
    const clock = this.#clock(site.bootedAtMs, isAlive);
    const world = { time: this.time, tunnels: this.tunnels, removing: (one: SimSite, endpoint: Endpoint) => this.removing(one, endpoint) };
    const ports = {
      clock,
      registry: this.registry.connect(client),
      tunnel: tunnelPort(site, clock, world, isAlive),
      storage: storagePort(site, this.time, isAlive),
      log: this.#log(name),
    };
    const loop = new SiteLoop(site.options, ports, this.options.stepSite?.());
    site.program = { loop, client, alive: true };
    loop.start((message) => {
      throw new Error(message);
    });
  }

  /** kill -9 of the program; its OpenVPN processes go on. */
  killSite(name: SiteName): void {
    const { program, touched } = this.site(name);
    if (program === null) return;
    program.alive = false;
    program.loop.stop();
    touched.clear();
    this.site(name).program = null;
  }

  /** The host reboots: processes, devices and routes are gone, files stay. */
  reboot(name: SiteName): void {
    this.killSite(name);
    const site = this.site(name);
    for (const endpoint of this.tunnels.all) if (endpoint.site === name) this.tunnels.stop(endpoint, true);
    site.routes.clear();
    site.bootedAtMs = this.time.nowMs;
    this.startSite(name);
  }

  /** An operator asks for a rotation now. */
  rotate(link: LinkName): void {
    this.#requests += 1;
    const client: GatewayClient = { isAlive: () => true, isCutOff: false };
    const request = { schemaVersion: 1, id: `request-${this.#requests}`, link, why: "asked", by: "operator", at: "" } as const;
    this.registry.connect(client).putLinkRequest(request, () => undefined);
  }

  /** Runs until a rotation asked for now is done everywhere it concerns; the time it took, or null. */
  rotateAndRest(link: Link, limitMs: number): number | null {
    const beforeMs = this.time.nowMs;
    const highest = this.record(link.name)?.lastNumber ?? 0;
    this.rotate(link.name);
    const isDone = this.runUntil(() => (this.record(link.name)?.lastNumber ?? 0) > highest && this.isAtRest(link), limitMs);
    return isDone ? this.time.nowMs - beforeMs : null;
  }

  errors(sinceMs = 0): readonly GatewayLogLine[] {
    return this.logs.filter(({ atMs, level }) => atMs >= sinceMs && (level === "error" || level === "warn"));
  }

  /** Links of a site, by its side. */
  linksOf(name: SiteName): readonly Link[] {
    return this.links.filter((link) => sideOf(link, name) !== null);
  }

  #addSite(name: SiteName): void {
    if (this.sites.has(name)) return;
    const options: SiteOptions = {
      site: name,
      observeMs: limits.gatewayObserveMs,
      observeIdleMs: limits.gatewayObserveIdleMs,
      drainMs: limits.gatewayDrainMsDefault,
      drainMsMax: limits.gatewayDrainMsMax,
      ...this.options.site,
    };
    const site: SimSite = {
      name,
      options,
      disk: new Map(),
      routes: new Map(),
      foreignRoutes: new Map(),
      touched: new Set(),
      program: null,
      deedMs: 20,
      skewMs: 0,
      bootedAtMs: 0,
    };
    this.sites.set(name, site);
  }

  #clock(zeroMs: number, isAlive: () => boolean): Clock {
    const clock = this.time.clock(zeroMs);
    const ifAlive = (run: () => void) => (): void => {
      if (isAlive()) run();
    };
    return { ...clock, setTimer: (atMs, run) => clock.setTimer(atMs, ifAlive(run)), defer: (run) => clock.defer(ifAlive(run)) };
  }

  #log(who: string): Log {
    return { write: (level, message, fields) => this.logs.push({ atMs: this.time.nowMs, who, level, message, fields }) };
  }
}

/** The end of 2026-11-27, UTC. */
const midnightMs = 20_785 * 24 * hourMs;
