/**
 * The one loop of an agent: feeds inputs to the machine, runs the effects of its steps through the ports, posts the
 * results. Synchronous: ports call back later. An effect that failed blocks its kind until its retry is due. The same
 * loop runs in production, in the lab and in the simulator; with a recorder it tells what a replay needs.
 */
import { assert } from "../core/assert.js";
import { limits } from "../core/limits.js";
import type { IncarnationId, NodeName, RosterEntry } from "../core/node.js";
import type { PersistentMap } from "../core/persistent-map.js";
import type { CheckpointNode, DurableState } from "../core/rotation/durable.js";
import type { Effect, EffectKind, Note } from "../core/rotation/effect.js";
import type { Report } from "../core/report.js";
import type { AgentOptions, AgentState } from "../core/rotation/state.js";
import type { Clock } from "../ports/clock.js";
import type { Done, PortFailure, Stop } from "../ports/failure.js";
import type { ApplyOutcome, KernelPort, Recognise } from "../ports/kernel.js";
import type { KeyFileReading, KeystorePort } from "../ports/keystore.js";
import type { Log } from "../ports/log.js";
import type { Recorder } from "../ports/recorder.js";
import type { RegistryPort, WatchEvent } from "../ports/registry.js";
import type { StoragePort } from "../ports/storage.js";
import {
  checkpointDocument,
  formatCheckpoint,
  formatDurable,
  newestRevision,
  parseCheckpoint,
  parseDurable,
  stateDocument,
} from "./agent-documents.js";
import type { AgentInput, Chances, DataplaneChange, EffectEnd } from "./agent-input.js";
import { AgentMachine, type StepAgent } from "./agent-machine.js";
import type { AgentWorld } from "./agent-world.js";
import { backoffMs } from "./backoff.js";
import { ForwardRegistry, rolledBackCode } from "./forward-registry.js";
import { logNote } from "./notes.js";
import { outcomeOfAgent, recordingVersion, type RecordingLine } from "./recording.js";
import { SequenceWatch } from "./sequence-watch.js";

export interface AgentPorts {
  readonly clock: Clock;
  readonly kernel: KernelPort;
  readonly keystore: KeystorePort;
  readonly registry: RegistryPort;
  readonly storage: StoragePort;
  readonly log: Log;
  /** Gets all that a replay needs. */
  readonly recorder?: Recorder<RecordingLine>;
  /** 128 fresh random bits. */
  readonly randomIncarnationId: () => IncarnationId;
  /** A number in [0, 1). */
  readonly chance: () => number;
}

export interface AgentLoopOptions extends AgentOptions {
  readonly leaseMs: number;
}

export type { StepAgent };

interface Retry {
  readonly run: () => void;
  readonly cancel: Stop;
}

const registryEffects: readonly EffectKind[] = ["register", "publish-report"];

export class AgentLoop {
  readonly #options: AgentLoopOptions;
  readonly #ports: AgentPorts;
  readonly #forward: ForwardRegistry;
  readonly #step: StepAgent | undefined;
  readonly #stops: Stop[] = [];
  readonly #attempts = new Map<EffectKind, number>();
  /** Failed effects that wait for their retry. */
  readonly #retries = new Map<EffectKind, Retry>();
  #machine: AgentMachine | null = null;
  #spare: IncarnationId;
  #isTurnQueued = false;
  #lastTurnMs = -Infinity;
  #isStopped = false;
  #cancelWake: Stop | null = null;
  #wakeDueMs: number | null = null;
  #cancelLease: Stop | null = null;
  #keyFileMessage: string | null = null;
  /** What was said of a registry that lost changes. */
  #rolledBack: string | null = null;
  #lastStage: Extract<Note, { kind: "staged" }> | null = null;
  #forcedRetires = 0;
  readonly #sequences = new SequenceWatch();
  readonly writes = { report: 0, roster: 0, lease: 0 };

  constructor(options: AgentLoopOptions, ports: AgentPorts, step?: StepAgent) {
    this.#options = options;
    this.#forward = new ForwardRegistry(ports.registry, ports.clock);
    this.#ports = { ...ports, registry: this.#forward.port };
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
    if (this.#isStopped) return;
    this.#isStopped = true;
    if (this.#machine !== null) this.#ports.recorder?.write({ atMs: this.#ports.clock.nowMs(), end: "stopped" });
    this.#cancelWake?.();
    this.#cancelLease?.();
    for (const stop of this.#stops) stop();
  }

  /** What there is to show; null before the documents are loaded. */
  inspect(): AgentView | null {
    const machine = this.#machine;
    if (machine === null) return null;
    return {
      state: machine.state,
      world: machine.world,
      keyFileMessage: this.#keyFileMessage,
      lastStage: this.#lastStage,
      forcedRetires: this.#forcedRetires,
      checkpointSavedAtMs: machine.world.checkpointSavedAtMs,
      writes: this.writes,
    };
  }

  #begin(durable: DurableState, checkpoint: PersistentMap<NodeName, CheckpointNode>): void {
    if (this.#isStopped) return;
    const { registry, kernel, keystore, clock } = this.#ports;
    const machine = new AgentMachine(this.#options, durable, checkpoint, this.#step);
    this.#forward.remember(newestRevision(checkpoint), durable.fleet?.version ?? 0);
    this.#machine = machine;
    this.#recordStart(durable, checkpoint);
    machine.world.registryChangedAtMs = clock.nowMs();
    machine.world.kernelChangedAtMs = clock.nowMs();
    this.#stops.push(registry.watchRoster((event) => this.#seeRoster(machine, event)));
    if (this.#options.coordination === "barrier") {
      this.#stops.push(registry.watchFleet((event) => this.#take(machine, { kind: "fleet", event })));
    } else {
      this.#stops.push(registry.watchReports((event) => this.#seeReports(machine, event)));
      this.#stops.push(registry.watchRequest((event) => this.#take(machine, { kind: "request", event })));
    }
    this.#stops.push(kernel.watch((change) => this.#seeDataplane(machine, change)));
    this.#stops.push(keystore.watch((reading) => this.#readKeys(machine, reading)));
    this.#renewLease(machine);
    this.#queueTurn();
  }

  #recordStart(durable: DurableState, checkpoint: PersistentMap<NodeName, CheckpointNode>): void {
    const { recorder, clock } = this.#ports;
    recorder?.write({
      kind: "agent-recording",
      schemaVersion: recordingVersion,
      ...recorder.program,
      wallAt: clock.wallAt(),
      atMs: clock.nowMs(),
      options: this.#options,
      durable,
      nodes: [...checkpoint].map(([, node]) => node),
    });
  }

  /** All that the agent gets to know goes through here. */
  #feed(machine: AgentMachine, input: AgentInput): void {
    if (this.#isStopped) return;
    const atMs = this.#ports.clock.nowMs();
    this.#ports.recorder?.write({ atMs, input });
    machine.take(input, atMs);
  }

  #take(machine: AgentMachine, input: AgentInput): void {
    this.#feed(machine, input);
    this.#queueTurn();
  }

  #seeRoster(machine: AgentMachine, event: WatchEvent<RosterEntry>): void {
    const { world } = machine;
    const before = world.registryConnected;
    this.#take(machine, { kind: "roster", event });
    if (event.kind === "listing") this.#retryRegistry();
    this.#tellRolledBack(event);
    if (world.registryConnected === before) return;
    world.registryChangedAtMs = this.#ports.clock.nowMs();
    if (event.kind === "disconnected") this.#ports.log.write("warn", "registry away", { why: event.reason });
    else this.#ports.log.write("info", "registry connected", { nodes: world.roster.entries.size });
  }

  /** It mostly comes after the registry was away, and is no change of that. */
  #tellRolledBack(event: WatchEvent<RosterEntry>): void {
    if (event.kind === "listing") this.#rolledBack = null;
    if (event.kind !== "disconnected" || !event.reason.startsWith(rolledBackCode) || event.reason === this.#rolledBack) return;
    this.#rolledBack = event.reason;
    this.#ports.log.write("error", "registry lost changes, treated as away", { code: rolledBackCode, why: event.reason });
  }

  /** In a large fleet everybody reports at about the same time: a turn takes the reports of some milliseconds together. */
  #seeReports(machine: AgentMachine, event: WatchEvent<Report>): void {
    this.#feed(machine, { kind: "reports", event });
    const nowMs = this.#ports.clock.nowMs();
    const dueMs = this.#lastTurnMs + Math.floor(machine.world.roster.entries.size * limits.reportTurnMsPerNode);
    if (event.kind !== "put" || dueMs <= nowMs) return this.#queueTurn();
    if (!this.#isTurnQueued && dueMs < (this.#wakeDueMs ?? Infinity)) this.#wakeAt(dueMs, nowMs);
  }

  #seeDataplane(machine: AgentMachine, change: DataplaneChange): void {
    const { world } = machine;
    const before = world.kernel.connected;
    this.#take(machine, { kind: "dataplane", change });
    if (world.kernel.connected === before) return;
    world.kernelChangedAtMs = this.#ports.clock.nowMs();
    const level = world.kernel.connected ? "info" : "warn";
    this.#ports.log.write(level, `dataplane ${world.kernel.connected ? "connected" : "away"}`, {});
  }

  #readKeys(machine: AgentMachine, reading: KeyFileReading): void {
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
    this.#take(machine, { kind: "keys", keys: reading.kind === "valid" ? reading.keys : null });
  }

  #renewLease(machine: AgentMachine): void {
    if (this.#isStopped) return;
    const { clock, registry } = this.#ports;
    const incarnation = machine.world.saved.durable.incarnation;
    this.#cancelLease?.();
    this.#cancelLease = clock.setTimer(clock.nowMs() + this.#options.leaseMs / 3, () => this.#renewLease(machine));
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
    const machine = this.#machine;
    if (machine === null) return;
    const nowMs = this.#ports.clock.nowMs();
    this.#lastTurnMs = nowMs;
    const chances: Chances = { spareIncarnationId: this.#spare, chance: this.#ports.chance() };
    this.#ports.recorder?.write({ atMs: nowMs, turn: chances });
    const step = machine.turn(chances, nowMs);
    this.#ports.recorder?.write({ did: outcomeOfAgent(step) });
    if (machine.state.durable.incarnation?.id === this.#spare) this.#spare = this.#ports.randomIncarnationId();
    for (const note of step.notes) this.#note(note);
    for (const effect of step.effects) this.#run(machine, effect);
    this.#wakeAt(step.wakeAtMs, nowMs);
  }

  #note(note: Note): void {
    if (note.kind === "staged") this.#lastStage = note;
    if (note.kind === "retired" && note.forced) this.#forcedRetires += 1;
    logNote(this.#ports.log, note);
  }

  /** A timer that is set for the same time already stays. */
  #wakeAt(atMs: number | null, nowMs: number): void {
    const dueMs = atMs === null ? null : Math.max(atMs, nowMs + 1);
    if (dueMs === this.#wakeDueMs) return;
    this.#cancelWake?.();
    this.#cancelWake = null;
    this.#wakeDueMs = dueMs;
    if (dueMs === null) return;
    this.#cancelWake = this.#ports.clock.setTimer(dueMs, () => {
      this.#wakeDueMs = null;
      this.#queueTurn();
    });
  }

  #run(machine: AgentMachine, effect: Effect): void {
    const { kernel, registry, storage, keystore, log } = this.#ports;
    const recognise: Recognise = (slot) => machine.world.recognise(slot);
    const ending = <T>(endOf: (value: T) => EffectEnd): Done<T> => this.#ending(machine, effect, endOf);
    switch (effect.kind) {
      case "save-state":
        return storage.save(
          stateDocument,
          () => formatDurable(effect.durable),
          ending(() => ({ kind: "state-saved" })),
        );
      case "save-checkpoint":
        return storage.save(
          checkpointDocument,
          () => formatCheckpoint(effect.checkpoint),
          ending(() => ({ kind: "checkpoint-saved" })),
        );
      case "register": {
        this.writes.roster += 1;
        const request = { name: this.#options.name, incarnationId: effect.incarnationId, addresses: effect.addresses };
        return registry.register(request, ending((entry) => ({ kind: "admitted", entry })));
      }
      case "apply":
        return kernel.apply(effect.stages, recognise, ending((outcome) => ({ kind: "applied", outcome })));
      case "read-kernel":
        return kernel.dump(recognise, ending((dump) => ({ kind: "dumped", dump })));
      case "probe":
        assert(kernel.probe !== undefined, "only a dataplane that can probe is asked to");
        return kernel.probe(effect.probes, ending((outcomes) => ({ kind: "probed", outcomes })));
      case "publish-report":
        this.writes.report += 1;
        return registry.publishReport(effect.report, ending(() => ({ kind: "report-published" })));
      case "set-guard":
        return kernel.setGuard?.(effect.isWanted);
      case "forget-key":
        keystore.forget(effect.key);
        return log.write("info", "key forgotten", { keyId: effect.key.keyId, check: effect.key.check });
    }
  }

  #ending<T>(machine: AgentMachine, effect: Effect, endOf: (value: T) => EffectEnd): Done<T> {
    return (result) => {
      if (!result.ok) return this.#retry(machine, effect, result.error);
      this.#attempts.delete(effect.kind);
      const end = endOf(result.value);
      this.#take(machine, end);
      if (end.kind === "admitted") this.#tellAdmitted(machine, end.entry);
      if (end.kind === "dumped") this.#sequences.look(machine.world.keyFigures, this.#ports.log);
      if (end.kind === "applied" && effect.kind === "apply") this.#tellFailures(machine.world, effect.peers, end.outcome);
    };
  }

  /** From here on the lease counts: it is renewed at once. */
  #tellAdmitted(machine: AgentMachine, { index, revision }: RosterEntry): void {
    this.#renewLease(machine);
    this.#ports.log.write("info", "admitted", { index, revision });
  }

  #tellFailures(world: AgentWorld, peers: readonly NodeName[], outcome: ApplyOutcome): void {
    for (const [peer, { operation, code, message }] of world.failuresOf(peers, outcome)) {
      this.#ports.log.write("warn", "operation failed", { peer, operation: operation.kind, code, why: message });
    }
  }

  /** The next step decides anew what to do; nothing of the failed effect is kept. */
  #retry(machine: AgentMachine, effect: Effect, { code, message: why }: PortFailure): void {
    const { log, clock } = this.#ports;
    const attempts = (this.#attempts.get(effect.kind) ?? 0) + 1;
    const retryMs = backoffMs(attempts);
    this.#attempts.set(effect.kind, attempts);
    this.#feed(machine, { kind: "failed", effect: effect.kind, code, why });
    log.write("warn", "retrying", { effect: effect.kind, code, why, attempt: attempts, retryMs });
    const run = (): void => {
      this.#retries.delete(effect.kind);
      this.#take(machine, { kind: "retry-due", effect: effect.kind });
    };
    this.#retries.set(effect.kind, { run, cancel: clock.setTimer(clock.nowMs() + retryMs, run) });
  }

  /** The registry is there again: what failed for want of it has not failed for any other reason. */
  #retryRegistry(): void {
    for (const kind of registryEffects) {
      this.#attempts.delete(kind);
      const retry = this.#retries.get(kind);
      retry?.cancel();
      retry?.run();
    }
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
