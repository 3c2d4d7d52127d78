/**
 * What an agent is without its ports: what it knows, its state, and the step between them. Inputs go in one by one, a
 * turn takes a step. The same inputs and turns give the same effects, whoever feeds them: the loop of a running agent, or
 * the replay of a recorded one. At most one effect of a kind is under way.
 */
import { assert } from "../core/assert.js";
import type { NodeName } from "../core/node.js";
import type { PersistentMap } from "../core/persistent-map.js";
import type { CheckpointNode, DurableState } from "../core/rotation/durable.js";
import type { Effect, EffectKind } from "../core/rotation/effect.js";
import { startAgent, type AgentOptions, type AgentState } from "../core/rotation/state.js";
import { stepAgent, type AgentStep } from "../core/rotation/step.js";
import type { AgentInput, Chances, EffectEnd } from "./agent-input.js";
import { AgentWorld } from "./agent-world.js";

export type StepAgent = typeof stepAgent;

type EffectOf<K extends EffectKind> = Extract<Effect, { kind: K }>;
type DumpStart = ReturnType<AgentWorld["beginDump"]>;

export class AgentMachine {
  #world: AgentWorld;
  readonly #options: AgentOptions;
  readonly #step: StepAgent;
  readonly #underWay = new Map<EffectKind, Effect>();
  #dumpStart: DumpStart = { rosterComplete: false, selfIncarnationId: null };
  #state: AgentState;

  constructor(
    options: AgentOptions,
    durable: DurableState,
    checkpoint: PersistentMap<NodeName, CheckpointNode>,
    step: StepAgent = stepAgent,
  ) {
    this.#options = options;
    this.#step = step;
    this.#world = new AgentWorld(options.name, durable, checkpoint);
    this.#state = startAgent(durable, checkpoint);
  }

  /** Another machine in the same state, which then goes its own way: a search of all interleavings branches here. */
  copy(): AgentMachine {
    const { durable, checkpoint } = this.#state;
    const copy = new AgentMachine(this.#options, durable, checkpoint, this.#step);
    copy.#world = this.#world.copy();
    copy.#state = this.#state;
    copy.#dumpStart = this.#dumpStart;
    for (const [kind, effect] of this.#underWay) copy.#underWay.set(kind, effect);
    return copy;
  }

  get world(): AgentWorld {
    return this.#world;
  }

  get state(): AgentState {
    return this.#state;
  }

  isUnderWay(kind: EffectKind): boolean {
    return this.#underWay.has(kind);
  }

  /** Null while no effect of this kind is under way. */
  underWay<K extends EffectKind>(kind: K): EffectOf<K> | null {
    return (this.#underWay.get(kind) as EffectOf<K> | undefined) ?? null;
  }

  take(input: AgentInput, nowMs: number): void {
    const { world } = this;
    switch (input.kind) {
      case "roster":
        return world.seeRoster(input.event);
      case "reports":
        return world.seeReports(input.event);
      case "fleet":
        return world.seeFleet(input.event);
      case "request":
        return world.seeRequest(input.event);
      case "dataplane":
        return world.seeConnection(input.change);
      case "keys":
        return world.offerKeys(input.keys);
      case "failed":
        if (input.effect === "read-kernel") world.seeConnection("foreign-change");
        return;
      case "retry-due":
        this.#underWay.delete(input.effect);
        world.inFlight.delete(input.effect);
        return;
      default:
        return this.#takeEnd(input, nowMs);
    }
  }

  #takeEnd(input: EffectEnd, nowMs: number): void {
    const { world } = this;
    switch (input.kind) {
      case "state-saved":
        world.saved = { ...world.saved, durable: this.#end("save-state").durable };
        return;
      case "checkpoint-saved": {
        const { checkpoint, peers } = this.#end("save-checkpoint");
        world.saved = { ...world.saved, checkpoint };
        world.checkpointSavedAtMs = nowMs;
        return world.touch(peers);
      }
      case "admitted":
        this.#end("register");
        return world.seeOwnEntry(input.entry);
      case "applied": {
        const { peers, stages } = this.#end("apply");
        world.seeOutcome(peers, stages.flat(), input.outcome, nowMs);
        return world.holdBack(peers, input.outcome, nowMs);
      }
      case "dumped":
        this.#end("read-kernel");
        return world.seeDump(input.dump, this.#dumpStart, nowMs);
      case "probed":
        return world.seeProofs(this.#end("probe").probes, input.outcomes, nowMs);
      case "report-published":
        world.publishedReport = this.#end("publish-report").report;
        world.publishedAtMs = nowMs;
        return;
    }
  }

  /** One step over all that is known. Its effects are under way from here on, until an input ends them. */
  turn(chances: Chances, nowMs: number): AgentStep {
    const observation = this.world.observe(chances.spareIncarnationId, chances.chance);
    const step = this.#step(this.#state, observation, nowMs, this.#options);
    this.#state = step.state;
    for (const effect of step.effects) this.#begin(effect);
    return step;
  }

  #begin(effect: Effect): void {
    if (effect.kind === "forget-key") return this.world.forgetKey(effect.key);
    if (effect.kind === "set-guard") {
      this.world.guard = effect.isWanted;
      return;
    }
    if (effect.kind === "read-kernel") this.#dumpStart = this.world.beginDump();
    this.#underWay.set(effect.kind, effect);
    this.world.inFlight.add(effect.kind);
  }

  #end<K extends EffectKind>(kind: K): EffectOf<K> {
    const effect = this.#underWay.get(kind);
    assert(effect?.kind === kind, "an effect that ends is under way");
    this.#underWay.delete(kind);
    this.world.inFlight.delete(kind);
    return effect as EffectOf<K>;
  }
}
