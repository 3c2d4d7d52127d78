/** The moves of a state, and the state after each. */
import { derivePairwise } from "../core/fleet/pairwise-view.js";
import type { OperatorRequest } from "../core/fleet/record.js";
import type { KeyIdentity } from "../core/key-id.js";
import { deadController, heardNodes, hearNode, missNode, silentNodes } from "./controller.js";
import { emptyChannel, withQueue } from "./channel.js";
import type { PolicyLevel } from "../core/policy-level.js";
import { fileOf, mayOfferKey, nextAsk, nextFile, spent } from "./ledger.js";
import type { Draft, Model, State } from "./model.js";
import { isFault, type Move } from "./moves.js";
import { crash, finishApply, noticeReboot, readFile, reboot, reportUnderWay } from "./node.js";
import { publish, setRequest } from "./registry.js";
import { keyOf } from "./scope.js";

export interface Transition {
  readonly move: Move;
  readonly state: State;
}

export function transitionsOf(model: Model, state: State): readonly Transition[] {
  return [...movesOf(model, state)].map((move) => ({ move, state: afterMove(model, state, move) }));
}

export function* movesOf(model: Model, state: State): IterableIterator<Move> {
  for (let watcher = 0; watcher < model.watchers; watcher += 1) {
    yield* reads(model, state, watcher);
    if (watcher < model.names.length) yield* nodeMoves(model, state, watcher);
    else yield* controllerMoves(model, state, watcher);
  }
  yield* faultsOf(model, state);
}

function* reads(model: Model, state: State, watcher: number): IterableIterator<Move> {
  const who = model.whoIs(watcher);
  const waiting = model.waiting(state, watcher);
  const { queues } = model.channelIn(state, watcher);
  for (const stream of waiting) {
    for (let events = 1; events <= queues[stream].length; events += 1) yield { kind: "read", who, stream, events };
  }
  if (waiting.length > 1) yield { kind: "read-all", who };
}

function* nodeMoves(model: Model, state: State, position: number): IterableIterator<Move> {
  const node = model.nodeIn(state, position);
  const who = node.name;
  const { files } = model.ledgerIn(state);
  for (let generation = node.file.generation + 1; generation < files.length; generation += 1) {
    yield { kind: "read-file", who, keyIds: files[generation] ?? [] };
  }
  if (node.machine === null) {
    if (node.hasJoined) yield { kind: "start", who };
    return;
  }
  if (model.channelIn(state, position).rebooted) yield { kind: "notice-reboot", who };
  else if (node.machine.isUnderWay("apply")) yield { kind: "apply", who };
  if (reportUnderWay(node) !== null) yield { kind: "publish", who };
}

function* controllerMoves(model: Model, state: State, watcher: number): IterableIterator<Move> {
  const controller = model.controllerIn(state, watcher - model.names.length);
  const who = model.whoIs(watcher);
  if (controller.machine === null) yield { kind: "start", who };
  for (const node of silentNodes(controller)) {
    if (model.nodeIn(state, model.names.indexOf(node)).machine !== null) yield { kind: "hear", who, node };
  }
}

function* faultsOf(model: Model, state: State): IterableIterator<Move> {
  const ledger = model.ledgerIn(state);
  for (let watcher = 0; watcher < model.watchers; watcher += 1) {
    if (ledger.crashes > 0) yield* crashes(model, state, watcher);
    if (ledger.losses > 0) yield* losses(model, state, watcher);
    if (ledger.silences > 0 && watcher >= model.names.length) yield* silences(model, state, watcher);
  }
  for (let position = 0; position < model.names.length; position += 1) {
    const node = model.nodeIn(state, position);
    const who = node.name;
    if (ledger.joins > 0 && !node.hasJoined) yield { kind: "join", who };
    if (ledger.reboots === 0 || !node.hasJoined) continue;
    yield { kind: "reboot-host", who };
    if (node.machine !== null) yield { kind: "reboot-dataplane", who };
  }
  const mayOffer = ledger.rotations > 0 && mayOfferKey(model.scope, model.registryIn(state));
  if (mayOffer) yield { kind: "offer-key", keyIds: nextFile(ledger, model.registryIn(state)) };
  const target = ledger.aborts > 0 ? targetOf(model, state) : null;
  if (target !== null) yield { kind: "abort", keyId: target.keyId };
  const mayAsk = ledger.levels > 0 && model.registryIn(state).request === null;
  if (mayAsk) yield { kind: "ask-level", level: nextAsk(model.scope, ledger) };
}

function* crashes(model: Model, state: State, watcher: number): IterableIterator<Move> {
  const who = model.whoIs(watcher);
  if (watcher >= model.names.length) {
    if (model.controllerIn(state, watcher - model.names.length).machine !== null) yield { kind: "crash", who, stages: 0 };
    return;
  }
  const { machine } = model.nodeIn(state, watcher);
  if (machine === null) return;
  const isCarriedOut = !model.channelIn(state, watcher).rebooted;
  const stagesMax = isCarriedOut ? (machine.underWay("apply")?.stages.length ?? 0) : 0;
  for (let stages = 0; stages <= stagesMax; stages += 1) yield { kind: "crash", who, stages };
}

function* losses(model: Model, state: State, watcher: number): IterableIterator<Move> {
  const who = model.whoIs(watcher);
  for (const stream of model.waiting(state, watcher)) yield { kind: "lose-events", who, stream };
  const name = model.names[watcher];
  if (name !== undefined && reportUnderWay(model.nodeIn(state, watcher)) !== null) yield { kind: "lose-report", who: name };
}

function* silences(model: Model, state: State, watcher: number): IterableIterator<Move> {
  const who = model.whoIs(watcher);
  for (const node of heardNodes(model.controllerIn(state, watcher - model.names.length))) yield { kind: "miss", who, node };
}

/** The key that `spindle abort` would name, by what the registry shows; null while a request waits or no rotation runs. */
function targetOf(model: Model, state: State): KeyIdentity | null {
  const { request, fleet, entries, reports } = model.registryIn(state);
  if (request !== null) return null;
  if (model.scope.coordination === "barrier") return fleet.value?.target ?? null;
  const nodes = [...entries.values()].map((entry) => ({ entry, report: reports.get(entry.name) }));
  return derivePairwise(nodes, 255).target;
}

export function afterMove(model: Model, state: State, move: Move): State {
  const draft: Draft = [...state];
  if (isFault(move)) pay(model, draft, move);
  const watcher = "who" in move ? watcherOf(model, move.who) : -1;
  perform(model, draft, move, watcher);
  for (let position = 0; position < model.names.length; position += 1) model.admitReturned(draft, position);
  return draft;
}

export function watcherOf(model: Model, who: string): number {
  const position = model.names.findIndex((name) => name === who);
  return position >= 0 ? position : model.names.length + Number(who.split("-")[1]);
}

function pay(model: Model, draft: Draft, move: Move): void {
  const ledger = model.ledgerIn(draft);
  switch (move.kind) {
    case "crash":
      return model.setLedger(draft, spent(ledger, "crashes"));
    case "reboot-host":
    case "reboot-dataplane":
      return model.setLedger(draft, spent(ledger, "reboots"));
    case "lose-events":
    case "lose-report":
      return model.setLedger(draft, spent(ledger, "losses"));
    case "join":
      return model.setLedger(draft, spent(ledger, "joins"));
    case "miss":
      return model.setLedger(draft, spent(ledger, "silences"));
    case "offer-key":
      return model.setLedger(draft, { ...spent(ledger, "rotations"), files: [...ledger.files, move.keyIds] });
    case "abort":
      return model.setLedger(draft, { ...spent(ledger, "aborts"), aborted: [...ledger.aborted, move.keyId] });
    case "ask-level":
      return model.setLedger(draft, spent(ledger, "levels"));
    default:
      return;
  }
}

function perform(model: Model, draft: Draft, move: Move, watcher: number): void {
  switch (move.kind) {
    case "read":
      return model.deliver(draft, watcher, [move.stream], move.events);
    case "read-all":
      return model.deliver(draft, watcher, model.waiting(draft, watcher), Number.POSITIVE_INFINITY);
    case "notice-reboot":
      model.setChannel(draft, watcher, { ...model.channelIn(draft, watcher), rebooted: false });
      return model.react(draft, watcher, move.kind, noticeReboot);
    case "apply":
      return model.react(draft, watcher, move.kind, finishApply);
    case "publish":
      return publishReport(model, draft, watcher);
    case "read-file":
      return giveFile(model, draft, watcher, move.keyIds);
    case "start":
    case "join":
      return model.startWatcher(draft, watcher);
    case "hear":
      return model.tell(draft, watcher - model.names.length, `hear ${move.node}`, (controller) => hearNode(controller, move.node));
    case "miss":
      return model.tell(draft, watcher - model.names.length, `miss ${move.node}`, (controller) => missNode(controller, move.node));
    case "crash":
      return stop(model, draft, watcher, move.stages);
    case "reboot-host":
      stop(model, draft, watcher, 0);
      return model.setNode(draft, watcher, reboot(model.nodeIn(draft, watcher), true));
    case "reboot-dataplane":
      model.setNode(draft, watcher, reboot(model.nodeIn(draft, watcher), false));
      return model.setChannel(draft, watcher, { ...model.channelIn(draft, watcher), rebooted: true });
    case "lose-events":
      return loseEvents(model, draft, watcher, move.stream);
    case "lose-report":
      return model.retry(draft, watcher, "publish-report");
    case "abort":
      model.commit(draft, setRequest(model.registryIn(draft), abortRequest(move.keyId)));
      return;
    case "ask-level":
      model.commit(draft, setRequest(model.registryIn(draft), levelRequest(move.level)));
      return;
    case "offer-key":
      return;
  }
}

function publishReport(model: Model, draft: Draft, position: number): void {
  const report = reportUnderWay(model.nodeIn(draft, position));
  if (report === null) throw new Error("bug: there is no report to publish");
  model.commit(draft, publish(model.registryIn(draft), report));
  model.hear(draft, position, { kind: "report-published" });
}

function giveFile(model: Model, draft: Draft, position: number, keyIds: readonly number[]): void {
  const ledger = model.ledgerIn(draft);
  const generation = ledger.files.findIndex((file) => file.join() === keyIds.join());
  model.react(draft, position, `file ${generation} ${keyIds.join()}`, (node) => readFile(node, fileOf(ledger, generation)));
}

function stop(model: Model, draft: Draft, watcher: number, stages: number): void {
  model.setChannel(draft, watcher, { ...emptyChannel, outside: model.channelIn(draft, watcher).outside });
  const position = model.names[watcher] === undefined ? null : watcher;
  if (position === null) draft[watcher] = model.controllerId(deadController);
  else model.setNode(draft, position, crash(model.nodeIn(draft, position), stages));
}

function loseEvents(model: Model, draft: Draft, watcher: number, stream: "roster" | "reports" | "fleet" | "request"): void {
  model.setChannel(draft, watcher, withQueue(model.channelIn(draft, watcher), stream, []));
  model.relist(draft, watcher, stream);
}

const words = { schemaVersion: 1, reason: "", by: "", at: "", compromised: null } as const;

function abortRequest(keyId: number): OperatorRequest {
  return { ...words, id: `abort-${keyId}`, kind: "abort", abort: keyOf(keyId) };
}

function levelRequest(level: PolicyLevel): OperatorRequest {
  return { ...words, id: `level-${level}`, kind: "level", abort: null, level };
}
