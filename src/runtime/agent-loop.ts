/**
 * The one loop of an agent: feeds observations to the step, runs its effects through the ports, posts the results.
 * Synchronous: ports call back later. At most one effect of a kind is under way; one that failed blocks its kind until
 * its retry is due. The same loop runs in production, in the lab and in the simulator.
 */
import { limits } from "../core/limits.js";
import type { IncarnationId, NodeName, RosterEntry } from "../core/node.js";
import type { PersistentMap } from "../core/persistent-map.js";
import type { CheckpointNode, DurableState } from "../core/rotation/durable.js";
import type { Effect, Note } from "../core/rotation/effect.js";
import type { Observation } from "../core/rotation/observation.js";
import { startAgent, type AgentOptions, type AgentState } from "../core/rotation/state.js";
import { stepAgent } from "../core/rotation/step.js";
import type { Clock } from "../ports/clock.js";
import type { PortFailure, Stop } from "../ports/failure.js";
import type { ApplyOutcome, KernelPort } from "../ports/kernel.js";
import type { KeyFileReading, KeystorePort } from "../ports/keystore.js";
import type { Log } from "../ports/log.js";
import type { RegisterRequest, RegistryPort, WatchEvent } from "../ports/registry.js";
import type { StoragePort } from "../ports/storage.js";
import {
  checkpointDocument,
  formatCheckpoint,
  formatDurable,
  parseCheckpoint,
  parseDurable,
  stateDocument,
} from "./agent-documents.js";
import { AgentWorld } from "./agent-world.js";
import { logNote } from "./notes.js";

export interface AgentPorts {
  readonly clock: Clock;
  readonly kernel: KernelPort;
  readonly keystore: KeystorePort;
  readonly registry: RegistryPort;
  readonly storage: StoragePort;
  readonly log: Log;
  /** 128 fresh random bits. */
  readonly randomIncarnationId: () => IncarnationId;
  /** A number in [0, 1). */
  readonly chance: () => number;
}

export interface AgentLoopOptions extends AgentOptions {
  readonly leaseMs: number;
}

export type StepAgent = typeof stepAgent;

export class AgentLoop {
  readonly #options: AgentLoopOptions;
  readonly #ports: AgentPorts;
  readonly #step: StepAgent;
  readonly #stops: Stop[] = [];
  readonly #attempts = new Map<string, number>();
  #world: AgentWorld | null = null;
  #state: AgentState | null = null;
  #spare: IncarnationId;
  #isTurnQueued = false;
  #isStopped = false;
  #cancelWake: Stop | null = null;
  #cancelLease: Stop | null = null;
  #keyFileMessage: string | null = null;
  #lastStage: Extract<Note, { kind: "staged" }> | null = null;
  #forcedRetires = 0;
  #checkpointSavedAtMs: number | null = null;
  readonly writes = { report: 0, roster: 0, lease: 0 };

  constructor(options: AgentLoopOptions, ports: AgentPorts, step: StepAgent = stepAgent) {
    this.#options = options;
    this.#ports = ports;
    this.#step = step;
    this.#spare = ports.randomIncarnationId();
  }

  /** Loads the documents, then watches. A document of an unknown version stops the agent: nothing is guessed. */
  start(failed: (message: string) => void): void {
    const { storage } = this.#ports;
    storage.load(stateDocument, (state) => {
      storage.load(checkpointDocument, (checkpoint) => {
        if (!state.ok) return failed(state.error.message);
        if (!checkpoint.ok) return failed(checkpoint.error.message);
        const durable = parseDurable(state.value);
        const nodes = parseCheckpoint(checkpoint.value);
        if (!durable.ok) return failed(durable.error);
        if (!nodes.ok) return failed(nodes.error);
        this.#begin(durable.value, nodes.value);
      });
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancelWake?.();
    this.#cancelLease?.();
    for (const stop of this.#stops) stop();
  }

  /** What there is to show; null before the documents are loaded. */
  inspect(): AgentView | null {
    if (this.#world === null || this.#state === null) return null;
    return {
      state: this.#state,
      world: this.#world,
      keyFileMessage: this.#keyFileMessage,
      lastStage: this.#lastStage,
      forcedRetires: this.#forcedRetires,
      checkpointSavedAtMs: this.#checkpointSavedAtMs,
      writes: this.writes,
    };
  }

  #begin(durable: DurableState, checkpoint: PersistentMap<NodeName, CheckpointNode>): void {
    if (this.#isStopped) return;
    const world = new AgentWorld(this.#options.name, durable, checkpoint);
    this.#world = world;
    this.#state = startAgent(durable, checkpoint);
    const { registry, kernel, keystore } = this.#ports;
    const seen = <T>(see: (event: T) => void) => (event: T): void => {
      see.call(world, event);
      this.#queueTurn();
    };
    const nowMs = this.#ports.clock.nowMs();
    world.registryChangedAtMs = nowMs;
    world.kernelChangedAtMs = nowMs;
    this.#stops.push(registry.watchRoster(seen((event) => this.#seeRoster(world, event))));
    if (this.#options.coordination === "barrier") {
      this.#stops.push(registry.watchFleet(seen(world.seeFleet)));
    } else {
      this.#stops.push(registry.watchReports(seen(world.seeReports)));
      this.#stops.push(registry.watchRequest(seen(world.seeRequest)));
    }
    this.#stops.push(kernel.watch(seen((reason) => this.#seeConnection(world, reason))));
    this.#stops.push(keystore.watch((reading) => this.#readKeys(world, reading)));
    this.#renewLease(world);
    this.#queueTurn();
  }

  #seeRoster(world: AgentWorld, event: WatchEvent<RosterEntry>): void {
    const before = world.registryConnected;
    world.seeRoster(event);
    if (world.registryConnected === before) return;
    world.registryChangedAtMs = this.#ports.clock.nowMs();
    if (event.kind === "disconnected") this.#ports.log.write("warn", "registry away", { why: event.reason });
    else this.#ports.log.write("info", "registry connected", { nodes: world.roster.entries.size });
  }

  #seeConnection(world: AgentWorld, reason: "connected" | "disconnected" | "foreign-change"): void {
    const before = world.kernel.connected;
    world.seeConnection(reason);
    if (world.kernel.connected === before) return;
    world.kernelChangedAtMs = this.#ports.clock.nowMs();
    const level = world.kernel.connected ? "info" : "warn";
    this.#ports.log.write(level, `dataplane ${world.kernel.connected ? "connected" : "away"}`, {});
  }

  #readKeys(world: AgentWorld, reading: KeyFileReading): void {
    if (reading.kind === "valid") {
      this.#keyFileMessage = null;
      const keyIds = reading.keys.map((key) => key.keyId).join(",");
      this.#ports.log.write("info", "key file read", { keyIds });
    } else {
      this.#keyFileMessage = `${reading.code}: ${reading.message}`;
      this.#ports.log.write("error", "key file refused, the running keys stay", {
        code: reading.code,
        why: reading.message,
      });
    }
    world.offerKeys(reading.kind === "valid" ? reading.keys : null);
    this.#queueTurn();
  }

  #renewLease(world: AgentWorld): void {
    if (this.#isStopped) return;
    const { clock, registry } = this.#ports;
    const incarnation = world.saved.durable.incarnation;
    this.#cancelLease?.();
    this.#cancelLease = clock.setTimer(clock.nowMs() + this.#options.leaseMs / 3, () => this.#renewLease(world));
    if (incarnation === null) return;
    this.writes.lease += 1;
    registry.renewLease(this.#options.name, incarnation.id, this.#options.leaseMs, () => undefined);
  }

  /** Many posts become one turn. */
  #queueTurn(): void {
    if (this.#isTurnQueued || this.#isStopped) return;
    this.#isTurnQueued = true;
    this.#ports.clock.defer(() => {
      this.#isTurnQueued = false;
      if (!this.#isStopped) this.#turn();
    });
  }

  #turn(): void {
    const world = this.#world;
    if (world === null || this.#state === null) return;
    const { clock } = this.#ports;
    const nowMs = clock.nowMs();
    const observation: Observation = world.observe(this.#spare, this.#ports.chance());
    const result = this.#step(this.#state, observation, nowMs, this.#options);
    this.#state = result.state;
    if (result.state.durable.incarnation?.id === this.#spare) this.#spare = this.#ports.randomIncarnationId();
    for (const note of result.notes) this.#note(note);
    for (const effect of result.effects) this.#run(world, effect);
    this.#wakeAt(result.wakeAtMs, nowMs);
  }

  #note(note: Note): void {
    if (note.kind === "staged") this.#lastStage = note;
    if (note.kind === "retired" && note.forced) this.#forcedRetires += 1;
    logNote(this.#ports.log, note);
  }

  #wakeAt(atMs: number | null, nowMs: number): void {
    this.#cancelWake?.();
    this.#cancelWake = null;
    if (atMs === null) return;
    const dueMs = Math.max(atMs, nowMs + 1);
    this.#cancelWake = this.#ports.clock.setTimer(dueMs, () => this.#queueTurn());
  }

  #run(world: AgentWorld, effect: Effect): void {
    const { kernel, registry, storage, keystore, clock, log } = this.#ports;
    switch (effect.kind) {
      case "save-state":
        world.inFlight.add(effect.kind);
        storage.save(stateDocument, formatDurable(effect.durable), (result) => {
          if (!result.ok) return this.#retry(world, effect, result.error);
          world.saved = { ...world.saved, durable: effect.durable };
          this.#finish(world, effect);
        });
        return;
      case "save-checkpoint":
        world.inFlight.add(effect.kind);
        storage.save(checkpointDocument, formatCheckpoint(effect.checkpoint), (result) => {
          if (!result.ok) return this.#retry(world, effect, result.error);
          world.saved = { ...world.saved, checkpoint: effect.checkpoint };
          this.#checkpointSavedAtMs = clock.nowMs();
          world.touch(effect.peers);
          this.#finish(world, effect);
        });
        return;
      case "register":
        world.inFlight.add(effect.kind);
        this.writes.roster += 1;
        registry.register(registrationOf(this.#options.name, effect), (result) => {
          if (!result.ok) return this.#retry(world, effect, result.error);
          world.seeOwnEntry(result.value);
          this.#renewLease(world);
          log.write("info", "admitted", { index: result.value.index, revision: result.value.revision });
          this.#finish(world, effect);
        });
        return;
      case "apply":
        world.inFlight.add(effect.kind);
        kernel.apply(effect.stages, (slot) => world.recognise(slot), (result) => {
          if (!result.ok) return this.#retry(world, effect, result.error);
          world.seeOutcome(effect.peers, effect.stages.flat(), result.value);
          this.#holdBack(world, effect.peers, result.value);
          this.#finish(world, effect);
        });
        return;
      case "read-kernel":
        world.inFlight.add(effect.kind);
        return this.#dump(world, effect);
      case "publish-report":
        world.inFlight.add(effect.kind);
        this.writes.report += 1;
        registry.publishReport(effect.report, (result) => {
          if (!result.ok) return this.#retry(world, effect, result.error);
          world.publishedReport = effect.report;
          world.publishedAtMs = clock.nowMs();
          this.#finish(world, effect);
        });
        return;
      case "forget-key":
        keystore.forget(effect.key);
        world.forgetKey(effect.key);
        log.write("info", "key forgotten", { keyId: effect.key.keyId, check: effect.key.check });
        return;
    }
  }

  #dump(world: AgentWorld, effect: Effect): void {
    const { kernel, clock } = this.#ports;
    const start = world.beginDump();
    kernel.dump((slot) => world.recognise(slot), (result) => {
      if (result.ok) world.seeDump(result.value, start, clock.nowMs());
      else world.seeConnection("foreign-change");
      if (result.ok) this.#finish(world, effect);
      else this.#retry(world, effect, result.error);
    });
  }

  #finish(world: AgentWorld, effect: Effect): void {
    this.#attempts.delete(effect.kind);
    world.inFlight.delete(effect.kind);
    this.#queueTurn();
  }

  /** The next step decides anew what to do; nothing of the failed effect is kept. */
  #retry(world: AgentWorld, effect: Effect, failure: PortFailure): void {
    const attempts = (this.#attempts.get(effect.kind) ?? 0) + 1;
    this.#attempts.set(effect.kind, attempts);
    const retryMs = backoffMs(attempts);
    this.#ports.log.write("warn", "retrying", {
      effect: effect.kind,
      code: failure.code,
      why: failure.message,
      attempt: attempts,
      retryMs,
    });
    this.#ports.clock.setTimer(this.#ports.clock.nowMs() + retryMs, () => {
      world.inFlight.delete(effect.kind);
      this.#queueTurn();
    });
  }

  #holdBack(world: AgentWorld, peers: readonly NodeName[], outcome: ApplyOutcome): void {
    const failed = new Set<NodeName>();
    for (const { operation, code, message } of outcome.failed) {
      const peer = world.peerOf(operation);
      if (failed.has(peer)) continue;
      failed.add(peer);
      const attempts = (world.heldBack.get(peer)?.attempts ?? 0) + 1;
      const untilMs = this.#ports.clock.nowMs() + backoffMs(attempts);
      world.heldBack.set(peer, { code, message, untilMs, attempts });
      this.#ports.log.write("warn", "operation failed", { peer, operation: operation.kind, code, why: message });
    }
    for (const peer of peers) if (!failed.has(peer)) world.heldBack.delete(peer);
  }
}

export interface AgentView {
  readonly state: AgentState;
  readonly world: AgentWorld;
  readonly keyFileMessage: string | null;
  readonly lastStage: Extract<Note, { kind: "staged" }> | null;
  readonly forcedRetires: number;
  readonly checkpointSavedAtMs: number | null;
  readonly writes: AgentLoop["writes"];
}

function registrationOf(name: NodeName, effect: Extract<Effect, { kind: "register" }>): RegisterRequest {
  return { name, incarnationId: effect.incarnationId, addresses: effect.addresses };
}

function backoffMs(attempts: number): number {
  return Math.min(limits.retryMsMax, limits.retryMsMin * 2 ** Math.min(attempts - 1, 10));
}
