/**
 * A fleet in virtual time: the agents' and the controllers' own loops over modelled kernels, disks and registry, with
 * traffic between all that talk to each other. It injects faults and counts packets; it decides nothing for the agents.
 */
import type { KeyId, KeyIdentity } from "../core/key-id.js";
import type { IncarnationId, NodeName } from "../core/node.js";
import type { PolicyLevel } from "../core/policy-level.js";
import { makePrng, type Prng } from "../core/prng.js";
import type { SaSlot } from "../core/sa.js";
import { spiOf } from "../core/spi.js";
import type { Log } from "../ports/log.js";
import { AgentLoop, type AgentPorts } from "../runtime/agent-loop.js";
import { ControllerLoop, type ControllerPorts } from "../runtime/controller-loop.js";
import { agentDefaults, controllerDefaults } from "./defaults.js";
import { VirtualTime } from "./engine/virtual-time.js";
import { SimDisk, storageOf } from "./model/disk.js";
import { clockOf, endsOf, parseAddresses, storedIncarnation, type SimAgent, type SimNode } from "./model/host.js";
import { SimKernel } from "./model/kernel.js";
import { keystoreOf } from "./model/keystore.js";
import { SimRegistry, type Link, type Stream } from "./model/registry.js";
import type { LossWindow } from "./model/losses.js";
import { Traffic } from "./model/traffic.js";
import type { SimOptions } from "./options.js";

export interface SimController {
  readonly loop: ControllerLoop;
  readonly link: Link;
  alive: boolean;
}

export interface LogLine {
  readonly atMs: number;
  readonly who: string;
  readonly level: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}

export class SimFleet {
  /** Of `SimOptions`. */
  readonly isOpen: boolean;
  readonly policyLevel: PolicyLevel;
  readonly time = new VirtualTime();
  readonly prng: Prng;
  readonly registry: SimRegistry;
  readonly traffic: Traffic;
  readonly nodes = new Map<NodeName, SimNode>();
  readonly controllers: SimController[] = [];
  readonly logs: LogLine[] = [];
  readonly #options: SimOptions;
  /** Of its own, so that clocks that run apart change nothing else of a seed. */
  readonly #clockPrng: Prng;

  constructor(options: SimOptions) {
    this.#options = options;
    this.isOpen = options.isOpen ?? false;
    this.policyLevel = options.agent?.policyLevel ?? "require";
    this.prng = makePrng(options.seed);
    this.#clockPrng = makePrng(options.seed + 1);
    const draw = options.registryDelayMs ?? ((prng) => 1 + prng.below(20));
    this.registry = new SimRegistry(this.time, () => draw(this.prng), options.mesh ?? null);
    this.traffic = new Traffic(this, options.packetIntervalMs ?? 5, makePrng(options.seed));
  }

  /** @param addresses as for `parseAddresses` */
  addNode(text: string, keys: readonly KeyIdentity[], addresses = this.#freshAddress()): NodeName {
    const name = text as NodeName;
    const parsed = parseAddresses(addresses);
    const { requestMs } = this.#options;
    const operationMs = this.#options.operationMs ?? ((prng: Prng) => 0.05 + prng.share() * 0.2);
    this.nodes.set(name, {
      name,
      addresses: parsed,
      ends: endsOf(parsed),
      kernel: new SimKernel(this.time, { operationMs: () => operationMs(this.prng), requestMs: () => requestMs?.(this.prng) ?? 0 }),
      disk: new SimDisk(),
      keys: { kind: "valid", keys },
      keyWatchers: new Set(),
      agent: null,
      isPartitioned: false,
      held: new Set(),
      departed: false,
      bootedAtMs: this.time.nowMs,
      clockRate: this.#options.clockRate?.(this.#clockPrng) ?? 1,
      lostIncarnations: new Set(),
      forcedKeyIds: new Set(),
    });
    this.startAgent(name);
    this.traffic.reroute();
    return name;
  }

  startAgent(name: NodeName): void {
    const node = this.node(name);
    if (node.agent !== null) return;
    const link: Link = {
      owner: name,
      isAlive: () => agent.alive,
      isPartitioned: node.isPartitioned,
      held: node.held,
    };
    const agent: SimAgent = { loop: this.#makeLoop(node, link), link, alive: true };
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
    node.disk.processDied(this.time.nowMs);
    node.agent.loop.stop();
    node.agent = null;
    node.keyWatchers.clear();
  }

  /** The dataplane loses its state; the agent, if it runs, notices. */
  reboot(name: NodeName): void {
    const node = this.node(name);
    this.#endLifetime(node);
    node.kernel.reboot();
  }

  /** The machine goes down: kernel state and clock begin anew when `startAgent` is called, unsynced documents are lost. */
  rebootHost(name: NodeName): void {
    const node = this.node(name);
    this.killAgent(name);
    this.#endLifetime(node);
    node.kernel.reboot(true);
    node.disk.hostDied();
    node.bootedAtMs = this.time.nowMs;
  }

  /** The node is gone for good: its agent stops and it leaves the roster. */
  leave(name: NodeName): void {
    this.killAgent(name);
    this.node(name).departed = true;
    this.registry.remove(name);
    this.traffic.reroute();
  }

  /** The node appears at another address, with its disk; whoever left comes back. */
  moveTo(name: NodeName, addresses: string): void {
    const node = this.node(name);
    this.killAgent(name);
    this.#endLifetime(node);
    node.addresses = parseAddresses(addresses);
    node.ends = endsOf(node.addresses);
    node.departed = false;
    this.startAgent(name);
    this.traffic.reroute();
  }

  /** Tunnel mode: the agent starts anew with other networks behind its node. */
  renumber(name: NodeName, cidrs: readonly string[]): void {
    const node = this.node(name);
    this.killAgent(name);
    node.addresses = { ...node.addresses, cidrs };
    this.startAgent(name);
    this.traffic.reroute();
  }

  /** Someone else deletes one of our SAs. */
  tamper(name: NodeName, slot: SaSlot): void {
    const node = this.node(name);
    if (slot.direction === "out") this.#endLifetime(node);
    node.kernel.deleteBehindItsBack(slot);
  }

  /** Packets from one node to another with a key do not get through any more, until `clearPaths` of the receiver's kernel. */
  garble(from: NodeName, to: NodeName, keyId: KeyId): void {
    const entry = this.registry.entry(from);
    if (entry !== undefined) this.node(to).kernel.garble(spiOf(keyId, entry.index, entry.incarnationNumber));
  }

  setKeys(name: NodeName, keys: readonly KeyIdentity[]): void {
    const node = this.node(name);
    node.keys = { kind: "valid", keys };
    for (const read of node.keyWatchers) read(node.keys);
  }

  /** Cut off from the registry; with `isNoticed` its watches are told. */
  partition(name: NodeName, isNoticed = true): void {
    const node = this.node(name);
    node.isPartitioned = true;
    if (node.agent !== null) this.registry.cut(node.agent.link, isNoticed);
  }

  heal(name: NodeName): void {
    const node = this.node(name);
    node.isPartitioned = false;
    if (node.agent !== null) this.registry.heal(node.agent.link);
  }

  /** Events of one stream wait on their way to this node, through restarts of its agent. */
  hold(name: NodeName, stream: Stream): void {
    this.node(name).held.add(stream);
  }

  release(name: NodeName, stream: Stream): void {
    const node = this.node(name);
    node.held.delete(stream);
    if (node.agent !== null) this.registry.release(node.agent.link, stream);
  }

  addController(): number {
    const name = `controller-${this.controllers.length}`;
    const link: Link = { owner: null, isAlive: () => controller.alive, isPartitioned: false, held: new Set() };
    const ports: ControllerPorts = {
      clock: this.time.clock(-this.prng.below(100_000)),
      registry: this.registry.port(link),
      log: this.#log(name),
    };
    const options = { ...controllerDefaults, name, ...this.#options.controller };
    const wrapped = this.#options.wrapControllerPorts?.(name, ports) ?? ports;
    const loop = new ControllerLoop(options, wrapped, this.#options.controllerStep);
    const controller: SimController = { alive: true, link, loop };
    loop.start();
    return this.controllers.push(controller) - 1;
  }

  /** kill -9: its leader lease stays until it ends by itself. */
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

  /** Names of the nodes that have not left, in the order in which they first came. */
  live(): readonly NodeName[] {
    return [...this.nodes.values()].filter((node) => !node.departed).map((node) => node.name);
  }

  /** Nodes that have not left and that `name` talks to. */
  peersOf(name: NodeName): readonly NodeName[] {
    const { mesh } = this.#options;
    if (mesh === undefined) return this.live().filter((one) => one !== name);
    return mesh.peersOf(name).filter((one) => this.nodes.get(one)?.departed === false);
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

  /** What nothing excuses (S1): also a loss too short to meet a packet. */
  losses(): readonly LossWindow[] {
    return this.traffic.lost.filter(({ excuse }) => excuse === null);
  }

  #freshAddress(): string {
    const number = this.nodes.size + 1;
    return `10.${number >> 16}.${(number >> 8) & 255}.${number & 255}`;
  }

  #endLifetime(node: SimNode): void {
    const id = storedIncarnation(node);
    if (id !== null) node.lostIncarnations.add(id);
  }

  #makeLoop(node: SimNode, link: Link): AgentLoop {
    const options = {
      ...agentDefaults,
      name: node.name,
      addresses: node.addresses,
      coordination: this.#options.coordination,
      ...this.#options.agent,
    };
    const saveMs = this.#options.saveMs ?? ((prng) => 0.2 + prng.share());
    const ports: AgentPorts = {
      clock: clockOf(node, this.time, link.isAlive),
      kernel: node.kernel.port(link.isAlive),
      keystore: keystoreOf(node, this.time, link.isAlive),
      registry: this.registry.port(link),
      storage: storageOf(node.disk, this.time, link.isAlive, () => saveMs(this.prng)),
      log: this.#log(node.name),
      randomIncarnationId: () => this.#randomId(),
      chance: () => this.prng.share(),
    };
    const wrapped = this.#options.wrapAgentPorts?.(node.name, ports) ?? ports;
    return new AgentLoop(options, wrapped, this.#options.step?.(node.name));
  }

  #randomId(): IncarnationId {
    const words = [1, 2, 3, 4].map(() => this.prng.next().toString(16).padStart(8, "0"));
    return words.join("") as IncarnationId;
  }

  #log(who: string): Log {
    return {
      write: (level, message, fields) => {
        this.logs.push({ atMs: this.time.nowMs, who, level, message, fields });
        if (message !== "old key retired by force") return;
        this.nodes.get(who as NodeName)?.forcedKeyIds.add(Number(fields["keyId"]));
      },
    };
  }
}
