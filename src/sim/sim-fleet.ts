/**
 * A fleet in virtual time: the agents' and the controllers' own loops over modelled kernels, disks and registry, with
 * traffic between all pairs. It injects faults and counts packets; it decides nothing for the agents.
 */
import type { KeyIdentity } from "../core/key-id.js";
import type { IncarnationId, NodeAddresses, NodeName } from "../core/node.js";
import { makePrng, type Prng } from "../core/prng.js";
import { succeed } from "../core/result.js";
import type { Endpoint } from "../core/sa.js";
import type { AgentOptions } from "../core/rotation/state.js";
import type { ControllerOptions } from "../core/fleet/controller-state.js";
import type { XfrmCounterName } from "../core/xfrm-counters.js";
import type { Log, LogFields } from "../ports/log.js";
import type { KeyFileReading } from "../ports/keystore.js";
import { AgentLoop, type StepAgent } from "../runtime/agent-loop.js";
import { ControllerLoop } from "../runtime/controller-loop.js";
import type { DurableState } from "../core/rotation/durable.js";
import { SimKernel, type SimPacket } from "./sim-kernel.js";
import { SimRegistry } from "./sim-registry.js";
import { VirtualTime } from "./virtual-time.js";

export interface SimOptions {
  readonly seed: number;
  readonly coordination: "barrier" | "pairwise";
  readonly agent?: Partial<AgentOptions>;
  readonly controller?: Partial<ControllerOptions>;
  readonly registryDelayMs?: (prng: Prng) => number;
  readonly operationMs?: (prng: Prng) => number;
  /** Time between two packets of one pair. */
  readonly packetIntervalMs?: number;
  readonly step?: StepAgent;
}

export interface LostPacket {
  readonly from: NodeName;
  readonly to: NodeName;
  readonly sentAtMs: number;
  readonly keyId: number;
  readonly reason: XfrmCounterName;
  /** The receiver had rebooted and the sender could not know yet (S1, excused). */
  readonly isPeerDown: boolean;
}

interface SimNode {
  readonly name: NodeName;
  addresses: NodeAddresses;
  readonly kernel: SimKernel;
  readonly disk: Map<string, string>;
  keys: KeyFileReading;
  keyWatchers: Set<(reading: KeyFileReading) => void>;
  agent: { readonly loop: AgentLoop; alive: boolean } | null;
  partitioned: boolean;
  departed: boolean;
  /** Incarnations whose kernel state a reboot took. */
  readonly lostIncarnations: Set<IncarnationId>;
}

export const transitMs = 1;

export class SimFleet {
  readonly time = new VirtualTime();
  readonly prng: Prng;
  readonly registry: SimRegistry;
  readonly nodes = new Map<NodeName, SimNode>();
  readonly controllers: { readonly loop: ControllerLoop; alive: boolean; partitioned: boolean }[] = [];
  readonly lost: LostPacket[] = [];
  readonly logs: string[] = [];
  sent = 0;
  delivered = 0;
  readonly #options: SimOptions;
  readonly #firstSeenMs = new Map<string, number>();

  constructor(options: SimOptions) {
    this.#options = options;
    this.prng = makePrng(options.seed);
    const draw = options.registryDelayMs ?? ((prng) => 1 + prng.below(20));
    this.registry = new SimRegistry(this.time, () => draw(this.prng));
    this.#send();
  }

  addNode(text: string, keys: readonly KeyIdentity[], address?: string): NodeName {
    const name = text as NodeName;
    const addresses = { ipv4: address ?? `10.0.0.${this.nodes.size + 1}`, ipv6: null, udpPort: null };
    const operationMs = this.#options.operationMs ?? ((prng: Prng) => 0.05 + prng.share() * 0.2);
    this.nodes.set(name, {
      name,
      addresses,
      kernel: new SimKernel(this.time, () => operationMs(this.prng)),
      disk: new Map(),
      keys: { kind: "valid", keys },
      keyWatchers: new Set(),
      agent: null,
      partitioned: false,
      departed: false,
      lostIncarnations: new Set(),
    });
    this.startAgent(name);
    return name;
  }

  startAgent(name: NodeName): void {
    const node = this.node(name);
    if (node.agent !== null) return;
    const agent: NonNullable<SimNode["agent"]> = { loop: this.#makeLoop(node, () => agent.alive), alive: true };
    node.agent = agent;
    agent.loop.start((message) => {
      throw new Error(message);
    });
  }

  /** kill -9: timers, watches and requests of the process die with it; kernel and synced disk stay. */
  killAgent(name: NodeName): void {
    const node = this.node(name);
    if (node.agent === null) return;
    node.agent.alive = false;
    node.agent.loop.stop();
    node.agent = null;
    node.keyWatchers.clear();
  }

  /** Loses the kernel's state; the agent, if it runs, notices. */
  reboot(name: NodeName): void {
    const node = this.node(name);
    const state = node.disk.get("state.json");
    const incarnation = state === undefined ? null : (JSON.parse(state) as DurableState).incarnation;
    if (incarnation !== null) node.lostIncarnations.add(incarnation.id);
    node.kernel.reboot();
  }

  /** The node is gone for good: its agent stops and it leaves the roster. */
  leave(name: NodeName): void {
    this.killAgent(name);
    this.node(name).departed = true;
    this.registry.remove(name);
  }

  setKeys(name: NodeName, keys: readonly KeyIdentity[]): void {
    const node = this.node(name);
    node.keys = { kind: "valid", keys };
    for (const read of node.keyWatchers) read(node.keys);
  }

  partition(name: NodeName, partitioned: boolean): void {
    this.node(name).partitioned = partitioned;
    if (!partitioned) this.registry.heal();
  }

  addController(): number {
    const clock = this.time.clock(this.prng.below(100_000));
    const controller: (typeof this.controllers)[number] = {
      alive: true,
      partitioned: false,
      loop: new ControllerLoop(
        { ...controllerDefaults, name: `controller-${this.controllers.length}`, ...this.#options.controller },
        {
          clock,
          registry: this.registry.port(
            () => controller.alive,
            () => controller.partitioned,
          ),
          log: this.#log(`controller-${this.controllers.length}`),
        },
      ),
    };
    controller.loop.start();
    return this.controllers.push(controller) - 1;
  }

  killController(index: number): void {
    const controller = this.controllers[index];
    if (controller === undefined || !controller.alive) return;
    controller.alive = false;
    controller.loop.stop();
  }

  node(name: NodeName): SimNode {
    const node = this.nodes.get(name);
    if (node === undefined) throw new Error(`no node ${name}`);
    return node;
  }

  run(forMs: number): void {
    this.time.runUntil(this.time.nowMs + forMs);
  }

  /** Runs until `holds`, at most `limitMs`; says whether it came true. */
  runUntil(holds: () => boolean, limitMs: number): boolean {
    const endMs = this.time.nowMs + limitMs;
    while (!holds() && this.time.nowMs < endMs) this.run(20);
    return holds();
  }

  losses(): readonly LostPacket[] {
    return this.lost.filter((packet) => !packet.isPeerDown);
  }

  #makeLoop(node: SimNode, isAlive: () => boolean): AgentLoop {
    const clock = this.time.clock();
    return new AgentLoop(
      {
        ...agentDefaults,
        name: node.name,
        addresses: node.addresses,
        coordination: this.#options.coordination,
        ...this.#options.agent,
      },
      {
        clock: { ...clock, setTimer: (atMs, run) => clock.setTimer(atMs, () => isAlive() && run()), defer: (run) => clock.defer(() => isAlive() && run()) },
        kernel: node.kernel.port(isAlive),
        keystore: {
          watch: (read) => {
            node.keyWatchers.add(read);
            clock.defer(() => isAlive() && read(node.keys));
            return () => node.keyWatchers.delete(read);
          },
          forget: () => undefined,
        },
        registry: this.registry.port(isAlive, () => node.partitioned),
        storage: {
          load: (name, done) => clock.defer(() => isAlive() && done(succeed(node.disk.get(name) ?? null))),
          save: (name, text, done) => {
            this.time.at(this.time.nowMs + 0.2 + this.prng.share(), () => {
              if (!isAlive()) return;
              node.disk.set(name, text);
              done(succeed(null));
            });
          },
        },
        log: this.#log(node.name),
        randomIncarnationId: () => this.#randomId(),
        chance: () => this.prng.share(),
      },
      this.#options.step,
    );
  }

  #randomId(): IncarnationId {
    const words = [1, 2, 3, 4].map(() => this.prng.next().toString(16).padStart(8, "0"));
    return words.join("") as IncarnationId;
  }

  #log(who: string): Log {
    return {
      write: (level, message, fields: LogFields) => {
        this.logs.push(`${this.time.nowMs.toFixed(1)} ${who} ${level} ${message} ${JSON.stringify(fields)}`);
      },
    };
  }

  /** One packet per pair and interval, from the moment the sender's policy first let one out. */
  #send(): void {
    for (const from of this.nodes.values()) {
      for (const to of this.nodes.values()) if (from !== to && !from.departed) this.#sendOne(from, to);
    }
    this.time.at(this.time.nowMs + (this.#options.packetIntervalMs ?? 5), () => this.#send());
  }

  #sendOne(from: SimNode, to: SimNode): void {
    const packet = from.kernel.send(from.name, to.name, endpointOf(to));
    if (typeof packet === "string") {
      if (packet === "XfrmOutNoStates") this.#lose(from, to, packet, null);
      return;
    }
    this.sent += 1;
    this.time.at(this.time.nowMs + transitMs, () => {
      const reason = to.kernel.receive(packet, endpointOf(from));
      if (reason === null) this.delivered += 1;
      else this.#lose(from, to, reason, packet);
    });
  }

  #lose(from: SimNode, to: SimNode, reason: XfrmCounterName, packet: SimPacket | null): void {
    const isPeerDown = to.departed || from.departed || (packet !== null && this.#isExcused(from, to, packet));
    const sentAtMs = packet?.sentAtMs ?? this.time.nowMs;
    this.lost.push({ from: from.name, to: to.name, sentAtMs, keyId: packet?.key.keyId ?? 0, reason, isPeerDown });
  }

  /** Sent to a lifetime that a reboot ended, by a sender that cannot have seen the new one yet (S1). */
  #isExcused(from: SimNode, to: SimNode, packet: SimPacket): boolean {
    if (!to.lostIncarnations.has(packet.key.to.incarnationId)) return false;
    const seen = from.agent?.loop.inspect()?.world.roster.entries.get(to.name);
    return seen === undefined || seen.incarnationId === packet.key.to.incarnationId || this.#sawRecently(from, to, seen.incarnationId);
  }

  /** An agent needs a moment from seeing a new incarnation to blocking the old one. */
  #sawRecently(from: SimNode, to: SimNode, incarnationId: IncarnationId): boolean {
    const key = `${from.name} ${to.name} ${incarnationId}`;
    const sinceMs = this.#firstSeenMs.get(key) ?? this.time.nowMs;
    this.#firstSeenMs.set(key, sinceMs);
    return this.time.nowMs - sinceMs < reactionMs;
  }
}

/** Reads a dump, saves its intent and programs a block: a bound on how long that takes here. */
const reactionMs = 150;

function endpointOf(node: SimNode): Endpoint {
  return { address: node.addresses.ipv4 ?? "", udpPort: node.addresses.udpPort };
}

const agentDefaults = {
  ring: 255,
  jitter: { enabled: false, mode: "uniform", maxMs: 0, minNodes: 50 },
  drainMs: 500,
  retireDeadlineMs: 60_000,
  emergencyDeadlineMs: 5_000,
  reportIntervalMs: 200,
  resyncMs: 10_000,
  massDeletionShare: 0.5,
  leaseMs: 1_000,
} as const;

const controllerDefaults = {
  ring: 255,
  start: "auto",
  slow: "wait",
  silent: "exclude",
  silentMs: 5_000,
  excludeShareMax: 0.34,
  stageDeadlineMs: 60_000,
  retireDeadlineMs: 60_000,
  emergencyDeadlineMs: 5_000,
  drainMs: 500,
  jitterMaxMs: 0,
  jitterMinNodes: 50,
  keyDistributionMs: 0,
  leaseMs: 1_000,
} as const;
