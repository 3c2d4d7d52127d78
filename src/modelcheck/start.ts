/** The fleet before anything happens to it: formed, at rest on key 1, and with nodes that differ only in their names. */
import type { Draft, Model, State } from "./model.js";
import { isFault, type Move } from "./moves.js";
import { afterMove, movesOf } from "./transitions.js";

const movesMax = 1_000;

/** Without founders (all nodes join) nobody runs but the controllers. */
export function settledFleet(model: Model): State {
  const founders = model.names.length - model.scope.joins;
  const draft: Draft = model.emptyFleet();
  for (let index = 0; index < model.scope.controllers; index += 1) model.startWatcher(draft, model.names.length + index);
  if (founders === 0) return quiet(model, draft);
  model.isForming = true;
  for (let position = 0; position < founders; position += 1) model.startWatcher(draft, position);
  for (let position = 0; position < founders; position += 1) model.deliver(draft, position, ["roster"], 1);
  const state = quiet(model, draft);
  model.isForming = false;
  return state;
}

/** Lets everything happen that has to, each watcher always seeing all there is. */
function quiet(model: Model, start: State): State {
  let state = start;
  for (let count = 0; count < movesMax; count += 1) {
    const move = nextMove(model, state);
    if (move === null) return state;
    state = afterMove(model, state, move);
  }
  throw new Error("bug: the fleet does not settle by itself");
}

function nextMove(model: Model, state: State): Move | null {
  const moves = [...movesOf(model, state)].filter((move) => !isFault(move));
  const reads = moves.filter((move) => move.kind === "read" || move.kind === "read-all");
  return reads.findLast((move) => move.kind === "read-all") ?? reads.at(-1) ?? moves[0] ?? null;
}
