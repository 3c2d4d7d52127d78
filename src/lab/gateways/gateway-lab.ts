/**
 * A hub and two sites on one machine, with real OpenVPN between two network namespaces and traffic through the link. The lab starts,
 * orders rotations, measures and stops; nothing that hub and sites decide is decided here. Every program ends with the lab, and the
 * namespaces with their programs, however that ends.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../adapters/system/clock.js";
import { endProcess, findProcesses } from "../../adapters/openvpn/processes.js";
import { Patience } from "../fleet/patience.js";
import { Program } from "../fleet/program.js";
import { LabError } from "../lab-error.js";
import type { LabRegistry } from "../registry/lab-registry.js";
import { openLabRegistry } from "../registry/open.js";
import type { LabHost } from "../lab.js";
import type { FleetPlace, GatewayFleet } from "./gateway-fleet.js";
import { makeGatewayReport, type GatewayLabOptions, type GatewayLabReport, type GatewayRotationResult } from "./gateway-report.js";
import { LogWatch } from "./log-watch.js";
import { lostAfterMs } from "./pings.js";
import { SpindleFleet } from "./spindle-fleet.js";
import { TrafficWatch } from "./traffic-watch.js";
import { TriggerFirstFleet } from "./trigger-first-fleet.js";
import { insideOf, makeGatewayWorld, socketDrops, trafficPort, type GatewayWorld, type WorldSite } from "./world.js";

const startMsMax = 120_000;
const rotationMsMax = 300_000;
const restMs = 700;
const stopGraceMs = 5_000;

export class GatewayLab {
  readonly options: GatewayLabOptions;
  readonly directory: string;
  readonly traffic = new TrafficWatch();
  readonly rotations: GatewayRotationResult[] = [];
  readonly #host: LabHost;
  readonly world: GatewayWorld;
  readonly #log = new LogWatch();
  readonly #programs: Program[] = [];
  readonly #registry: LabRegistry;
  readonly #fleet: GatewayFleet;
  readonly #patience: Patience;
  #startMs = 0;
  #flowingMs = 0;
  #isStopped = false;

  private constructor(options: GatewayLabOptions, directory: string, world: GatewayWorld, registry: LabRegistry, host: LabHost) {
    this.options = options;
    this.directory = directory;
    this.world = world;
    this.#registry = registry;
    this.#host = host;
    this.#patience = new Patience(host.signal);
    const start: FleetPlace["start"] = (name, words, site) => this.#start(name, words, site);
    const place = { directory, world, registry, start };
    this.#fleet = options.behaviour === "spindle" ? new SpindleFleet(place) : new TriggerFirstFleet(place);
  }

  /** Makes its directory and namespaces; no program runs yet. @throws LabError LAB_NETWORK_UNAVAILABLE */
  static async create(options: GatewayLabOptions, host: LabHost): Promise<GatewayLab> {
    const world = await makeGatewayWorld(options.gateways);
    // Short: OpenVPN's management sockets lie below it.
    const directory = await mkdtemp(join(tmpdir(), "sgl-"));
    const place = { directory, registrySocket: join(directory, "registry.sock") };
    const registry = await openLabRegistry(place, { registry: options.registry, registryEndpoints: [] });
    return new GatewayLab(options, directory, world, registry, host);
  }

  /** Which rotation runs, 0 before the first. */
  get phase(): string {
    return this.#fleet.phase;
  }

  /** Ends when every flow gets answers through the link. @throws LabError, after everything was stopped */
  async start(): Promise<void> {
    const startedMs = systemClock.nowMs();
    await this.#registry.start();
    await this.#fleet.start();
    await this.#until(() => this.#fleet.isReady, startMsMax, "the link was not ready");
    const { server, client } = this.world;
    const [source = ""] = server.addresses;
    const echo = { addresses: client.addresses, port: trafficPort };
    const pings = { source, destinations: client.addresses, port: trafficPort };
    let isListening = false;
    this.#start("echo", ["echo", JSON.stringify(echo)], client, () => (isListening = true));
    await this.#until(() => isListening, startMsMax, "the far end of the traffic did not start");
    this.#start("pings", ["pings", JSON.stringify(pings)], server, (line) => this.traffic.take(line));
    await this.#until(() => this.traffic.isFlowing, startMsMax, "no traffic went through the link");
    this.#startMs = systemClock.nowMs() - startedMs;
    this.#flowingMs = systemClock.nowMs();
    await this.rest();
  }

  async rotate(): Promise<GatewayRotationResult> {
    const fromMs = systemClock.nowMs();
    const number = this.rotations.length + 1;
    const dropsBefore = socketDrops(this.world);
    await this.#fleet.rotate();
    await this.#until(() => this.#fleet.outcome !== null, rotationMsMax, `rotation ${number} did not end`);
    const endedMs = systemClock.nowMs();
    const outcome = this.#fleet.outcome ?? "unknown";
    // What is lost shows a little later.
    await this.#patience.rest(lostAfterMs + restMs);
    const logged = this.#log.between(fromMs, endedMs);
    const result = {
      number,
      outcome,
      durationMs: Math.round(endedMs - fromMs),
      traffic: this.traffic.figures(fromMs, endedMs + restMs),
      socketDrops: socketDrops(this.world) - dropsBefore,
      errors: countByText(logged.map(({ text }) => text)),
      errorCount: logged.length,
    };
    this.rotations.push(result);
    return result;
  }

  rest(): Promise<void> {
    return this.#patience.rest(restMs);
  }

  /** The result, after everything was stopped. */
  async finish(): Promise<GatewayLabReport> {
    await this.#patience.rest(lostAfterMs + restMs);
    const traffic = this.traffic.figures(this.#flowingMs, this.traffic.lastMs - lostAfterMs);
    const { options, rotations } = this;
    await this.abandon();
    return makeGatewayReport({ options, openvpn: this.#fleet.openvpnVersion, startMs: Math.round(this.#startMs), rotations, traffic });
  }

  /** Stops everything. A second time does nothing. */
  async abandon(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#fleet.close();
    await Promise.all(this.#programs.map((program) => program.stop(stopGraceMs)));
    await this.#registry.stop();
    // A site that was killed could not end its own.
    for (const target of await findProcesses(this.directory)) await endProcess(target);
    this.world.close();
    if (!this.options.keep) await rm(this.directory, { recursive: true, force: true });
  }

  #start(name: string, words: readonly string[], site: WorldSite | null, output?: (line: string) => void): Program {
    const base = join(this.directory, name);
    const program = [...this.#host.spindle, "lab-gateway", ...words];
    const command = site === null ? program : insideOf(site, program);
    const spec = { name, command: () => command, logPath: `${base}.log`, pidPath: `${base}.pid` };
    const split = new LineSplitter(output ?? (() => undefined));
    const started = new Program(spec, {
      output: (chunk) => split.take(chunk),
      logLine: (line) => this.#log.take(name, line),
      gaveUp: (why) => this.#patience.giveUp(why),
      ended: ({ wanted, code, signal }) => {
        if (!wanted) this.#host.note(`${name} ended (${signal ?? `code ${code}`}), starts again`);
      },
    });
    this.#programs.push(started);
    started.start();
    return started;
  }

  /** @throws LabError */
  async #until(isSo: () => boolean, patienceMs: number, otherwise: string): Promise<void> {
    if (await this.#patience.waitFor(isSo, patienceMs)) return;
    const message = `${otherwise} within ${patienceMs / 1_000} s (${this.#fleet.phase}); --keep keeps the logs`;
    throw new LabError("LAB_START_TIMEOUT", message);
  }
}

class LineSplitter {
  readonly #line: (line: string) => void;
  #rest = "";

  constructor(line: (line: string) => void) {
    this.#line = line;
  }

  take(chunk: Buffer): void {
    const lines = (this.#rest + chunk.toString()).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }
}

function countByText(texts: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const text of texts) counts[text] = (counts[text] ?? 0) + 1;
  return counts;
}
