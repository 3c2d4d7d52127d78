/**
 * The transition system: which moves a state of the fleet has, and where each leads. A state is a short list of numbers,
 * each naming a part that is kept once (nodes, controllers, what waits for each watcher, registry, ledger). What a node
 * makes of an input is computed once and then looked up: the same node in the same state meets the same input in many
 * states of the fleet, and that is what makes the search fast.
 */
import type { ControllerEffect } from "../core/fleet/controller-state.js";
import type { NodeName } from "../core/node.js";
import type { EffectKind } from "../core/rotation/effect.js";
import type { AgentInput } from "../runtime/agent-input.js";
import type { ControllerInput } from "../runtime/controller-input.js";
import { channelText, emptyChannel, waitingStreams, withQueue, type Channel } from "./channel.js";
import { controllerText, deadController, feedController, loseWrite, startController, type ControllerState } from "./controller.js";
import { Interner } from "./interner.js";
import { flushed } from "./kernel.js";
import { newLedger, type Ledger } from "./ledger.js";
import {
  admit,
  feed,
  machineMaker,
  newNode,
  nodeText,
  startNode,
  type MakeMachine,
  type NodeState,
  type Reaction,
} from "./node.js";
import { listing, newRegistry, register, setRequest, streams, writeFleet, type Commit, type Registry, type Stream, type StreamEvent } from "./registry.js";
import { agentOptions, keyOf, nodeNames, type Scope } from "./scope.js";
import { textOf } from "./text.js";

/** [nodes, controllers, one channel for each of them, registry, ledger] */
export type State = readonly number[];
export type Draft = number[];

export class Model {
  readonly scope: Scope;
  readonly names: readonly NodeName[];
  readonly nodes = new Interner<NodeState>();
  readonly controllers = new Interner<ControllerState>();
  readonly events = new Interner<StreamEvent>();
  readonly channels = new Interner<Channel>();
  readonly registries = new Interner<Registry>();
  readonly ledgers = new Interner<Ledger>();
  readonly makeMachines: readonly MakeMachine[];
  /** While the fleet forms, all nodes are admitted at one revision, so that they differ in nothing but their names. */
  isForming = false;
  readonly #reactions = new Map<string, { readonly node: number; readonly register: Reaction["register"] }>();
  readonly #controllerReactions = new Map<string, number>();
  readonly #pushes = new Map<string, number>();

  constructor(scope: Scope) {
    this.scope = scope;
    this.names = nodeNames(scope.nodes);
    this.makeMachines = this.names.map((name, position) => machineMaker(agentOptions(scope, name, position), scope.step));
  }

  /** Nodes and controllers: those that events wait for. */
  get watchers(): number {
    return this.names.length + this.scope.controllers;
  }

  get registryAt(): number {
    return 2 * this.watchers;
  }

  get ledgerAt(): number {
    return 2 * this.watchers + 1;
  }

  nodeIn(state: State, position: number): NodeState {
    return this.nodes.at(state[position] ?? -1);
  }

  controllerIn(state: State, index: number): ControllerState {
    return this.controllers.at(state[this.names.length + index] ?? -1);
  }

  channelIn(state: State, watcher: number): Channel {
    return this.channels.at(state[this.watchers + watcher] ?? -1);
  }

  registryIn(state: State): Registry {
    return this.registries.at(state[this.registryAt] ?? -1);
  }

  ledgerIn(state: State): Ledger {
    return this.ledgers.at(state[this.ledgerAt] ?? -1);
  }

  /** Nobody runs, nothing is stored. */
  emptyFleet(): Draft {
    const draft: Draft = this.names.map((name) => this.nodeId(newNode(name, [keyOf(1)])));
    for (let index = 0; index < this.scope.controllers; index += 1) draft.push(this.controllerId(deadController));
    for (let watcher = 0; watcher < this.watchers; watcher += 1) draft.push(this.channelId(emptyChannel));
    draft.push(this.registryId(newRegistry), this.ledgers.idOf(textOf(newLedger(this.scope)), newLedger(this.scope)));
    return draft;
  }

  nodeId(node: NodeState): number {
    return this.nodes.idOf(nodeText(node), node);
  }

  controllerId(controller: ControllerState): number {
    return this.controllers.idOf(controllerText(controller), controller);
  }

  channelId(channel: Channel): number {
    return this.channels.idOf(channelText(channel, (event) => event), channel);
  }

  registryId(registry: Registry): number {
    return this.registries.idOf(textOf(registry), registry);
  }

  setLedger(draft: Draft, ledger: Ledger): void {
    draft[this.ledgerAt] = this.ledgers.idOf(textOf(ledger), ledger);
  }

  setChannel(draft: Draft, watcher: number, channel: Channel): void {
    draft[this.watchers + watcher] = this.channelId(channel);
  }

  setNode(draft: Draft, position: number, node: NodeState): void {
    draft[position] = this.nodeId(node);
  }

  /**
   * @param input names what happens to the node; with the node's number it decides the reaction
   */
  react(draft: Draft, position: number, input: string, run: (node: NodeState) => Reaction): void {
    const before = draft[position] ?? -1;
    const known = this.#reactions.get(`${before} ${input}`);
    const reaction = known ?? this.#computed(before, input, run);
    draft[position] = reaction.node;
    if (reaction.register !== null) this.#admit(draft, position, reaction.register);
  }

  /** One input for a node, and its turn. */
  hear(draft: Draft, position: number, input: AgentInput): void {
    this.react(draft, position, textOf(input), (node) => feed(node, [input]));
  }

  retry(draft: Draft, position: number, effect: EffectKind): void {
    this.hear(draft, position, { kind: "retry-due", effect });
  }

  #computed(before: number, input: string, run: (node: NodeState) => Reaction): { node: number; register: Reaction["register"] } {
    const { node, register: asked } = run(this.nodes.at(before));
    const reaction = { node: this.nodeId(node), register: asked };
    this.#reactions.set(`${before} ${input}`, reaction);
    return reaction;
  }

  #admit(draft: Draft, position: number, request: NonNullable<Reaction["register"]>): void {
    const registry = this.registryIn(draft);
    const revision = this.isForming ? 1 : registry.revision + 1;
    const commit = register(registry, request, position, revision);
    const event = this.commit(draft, commit);
    this.react(draft, position, `admitted ${event}`, (node) => admit(node, commit.entry));
  }

  /** Stores and tells all watchers of it; returns the number of the event. */
  commit(draft: Draft, { registry, event }: Commit, silent: number | null = null): number {
    const id = this.events.idOf(textOf(event), event);
    draft[this.registryAt] = this.registryId(registry);
    for (let watcher = 0; watcher < this.watchers; watcher += 1) {
      if (watcher !== silent && this.#watches(draft, watcher, event)) this.#push(draft, watcher, event.kind, id);
    }
    return id;
  }

  #watches(state: State, watcher: number, event: StreamEvent): boolean {
    if (watcher >= this.names.length) return this.controllerIn(state, watcher - this.names.length).machine !== null;
    if (this.nodeIn(state, watcher).machine === null) return false;
    const isOwnReport = event.kind === "reports" && event.event.kind === "put" && event.event.item.node === this.names[watcher];
    return this.streamsOf(watcher).includes(event.kind) && !isOwnReport;
  }

  streamsOf(watcher: number): readonly Stream[] {
    if (watcher >= this.names.length) return streams;
    return this.scope.coordination === "barrier" ? ["roster", "fleet"] : ["roster", "reports", "request"];
  }

  #push(draft: Draft, watcher: number, stream: Stream, event: number): void {
    const before = draft[this.watchers + watcher] ?? -1;
    const input = `${before} ${stream} ${event}`;
    const known = this.#pushes.get(input);
    const channel = this.channels.at(before);
    const after = known ?? this.channelId(withQueue(channel, stream, [...channel.queues[stream], event]));
    if (known === undefined) this.#pushes.set(input, after);
    draft[this.watchers + watcher] = after;
  }

  /** A watch begins, or begins again after a gap. */
  relist(draft: Draft, watcher: number, stream: Stream): void {
    const event = listing(this.registryIn(draft), stream, this.names[watcher] ?? null);
    const id = this.events.idOf(textOf(event), event);
    this.setChannel(draft, watcher, withQueue(this.channelIn(draft, watcher), stream, [id]));
  }

  startWatcher(draft: Draft, watcher: number): void {
    for (const stream of this.streamsOf(watcher)) this.relist(draft, watcher, stream);
    const index = watcher - this.names.length;
    if (index >= 0) {
      draft[watcher] = this.controllerId(startController(this.scope.controllerStep));
      return;
    }
    const makeMachine = this.makeMachines[watcher];
    const isFlushed = this.scope.broken === "adopt-on-start";
    const asFound = (node: NodeState): NodeState => (isFlushed ? { ...node, kernel: flushed(node.kernel) } : node);
    if (makeMachine !== undefined) this.react(draft, watcher, "start", (node) => startNode(asFound(node), makeMachine));
  }

  /** Delivers the first `count` events of each of these streams, then lets the watcher take its turn. */
  deliver(draft: Draft, watcher: number, wanted: readonly Stream[], count: number): void {
    let channel = this.channelIn(draft, watcher);
    const taken: number[] = [];
    for (const stream of wanted) {
      const queue = channel.queues[stream];
      taken.push(...queue.slice(0, count));
      channel = withQueue(channel, stream, queue.slice(count));
    }
    this.setChannel(draft, watcher, channel);
    const inputs = (): readonly StreamEvent[] => taken.map((id) => this.#asHeard(this.events.at(id)));
    if (watcher < this.names.length) this.react(draft, watcher, `read ${taken.join()}`, (node) => feed(node, inputs()));
    else this.tell(draft, watcher - this.names.length, `read ${taken.join()}`, (controller) => feedController(controller, inputs()));
  }

  #asHeard(input: StreamEvent): StreamEvent {
    const isDeaf = this.scope.broken === "listed-reports" && input.kind === "reports" && input.event.kind === "listing";
    return isDeaf ? { kind: "reports", event: { ...input.event, items: [] } } : input;
  }

  /** A controller takes a turn; what it asks for is carried out, until it asks for nothing. */
  tell(draft: Draft, index: number, input: string, run: (controller: ControllerState) => ControllerState): void {
    this.#turn(draft, index, input, run);
    const ends = this.controllerIn(draft, index).asks.flatMap((effect) => this.#carryOut(draft, index, effect));
    if (ends.length === 0) return;
    const isConflict = ends.every(({ kind }) => kind === "retry-due");
    if (isConflict) this.#turn(draft, index, "conflict", loseWrite);
    else this.tell(draft, index, textOf(ends), (controller) => feedController(controller, ends));
  }

  #carryOut(draft: Draft, index: number, effect: ControllerEffect): readonly ControllerInput[] {
    const registry = this.registryIn(draft);
    switch (effect.kind) {
      case "clear-request":
        if (registry.request?.id === effect.requestId) this.commit(draft, setRequest(registry, null));
        return [{ kind: "request-cleared" }, this.#takeNewestRequest(draft, index)];
      case "write-fleet":
        if (effect.expectedVersion !== registry.fleet.version && this.scope.broken !== "compare-and-set") return [{ kind: "retry-due", effect: effect.kind }];
        this.#writeFleet(draft, index, effect.record);
        return [{ kind: "fleet-written", version: this.registryIn(draft).fleet.version }];
      case "put-rotation":
        return [{ kind: "rotation-put" }];
      case "write-next-key":
        throw new Error("bug: people make the keys of this model");
    }
  }

  /** A controller that cleared a request clears it again until the watch brings it: one time is enough here. */
  #takeNewestRequest(draft: Draft, index: number): StreamEvent {
    const watcher = this.names.length + index;
    this.setChannel(draft, watcher, withQueue(this.channelIn(draft, watcher), "request", []));
    return listing(this.registryIn(draft), "request", null);
  }

  /** The writer has seen its own record; without older ones on their way the event would tell it nothing. */
  #writeFleet(draft: Draft, index: number, record: Parameters<typeof writeFleet>[1]): void {
    const watcher = this.names.length + index;
    const isCurrent = this.channelIn(draft, watcher).queues.fleet.length === 0;
    this.commit(draft, writeFleet(this.registryIn(draft), record), isCurrent ? watcher : null);
    for (const { name } of record.excluded) this.#setOutside(draft, this.names.indexOf(name), true);
  }

  #setOutside(draft: Draft, position: number, outside: boolean): void {
    const channel = this.channelIn(draft, position);
    if (channel.outside !== outside) this.setChannel(draft, position, { ...channel, outside });
  }

  /** A node that was excluded has caught up when it read that it counts again and its kernel is as it decided then. */
  admitReturned(draft: Draft, position: number): void {
    const { outside, queues } = this.channelIn(draft, position);
    const { name, machine } = this.nodeIn(draft, position);
    if (!outside || machine === null || queues.fleet.length > 0 || machine.isUnderWay("apply")) return;
    const isExcluded = this.registryIn(draft).fleet.value?.excluded.some((one) => one.name === name) === true;
    if (!isExcluded) this.#setOutside(draft, position, false);
  }

  #turn(draft: Draft, index: number, input: string, run: (controller: ControllerState) => ControllerState): void {
    const position = this.names.length + index;
    const before = draft[position] ?? -1;
    const known = this.#controllerReactions.get(`${before} ${input}`);
    const after = known ?? this.controllerId(run(this.controllers.at(before)));
    if (known === undefined) this.#controllerReactions.set(`${before} ${input}`, after);
    draft[position] = after;
  }

  waiting(state: State, watcher: number): readonly Stream[] {
    return waitingStreams(this.channelIn(state, watcher));
  }

  whoIs(watcher: number): string {
    return this.names[watcher] ?? `controller-${watcher - this.names.length}`;
  }
}
