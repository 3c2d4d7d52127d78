/**
 * Nodes are alike: a state and the same state with the nodes' names exchanged have the same future. The search keeps one
 * of each such orbit. Each part of a state gets a number for each renaming; the smallest row of these numbers names the
 * orbit. The states that are kept are states as met, so a run back through them is a run.
 */
import { channelText } from "./channel.js";
import { controllerText } from "./controller.js";
import { Interner } from "./interner.js";
import type { Model, State } from "./model.js";
import { nodeText } from "./node.js";
import { textOf, type Renaming } from "./text.js";

type Part = "node" | "controller" | "event" | "channel" | "registry";

export class Symmetry {
  readonly #model: Model;
  readonly #renamings: readonly Renaming[];
  readonly #labels = new Interner<null>();
  readonly #known = new Map<string, number>();

  constructor(model: Model) {
    this.#model = model;
    this.#renamings = permutations(model.names.map((_, position) => position));
  }

  /** The row that names the orbit of `state`. */
  orbitOf(state: State): readonly number[] {
    const [first = state, ...others] = this.#renamings.map((renaming, index) => this.#renamed(state, renaming, index));
    return others.reduce((least, row) => (isLess(row, least) ? row : least), first);
  }

  /** How many states are in the orbit. */
  sizeOf(state: State): number {
    return new Set(this.#renamings.map((renaming, index) => this.#renamed(state, renaming, index).join())).size;
  }

  #renamed(state: State, renaming: Renaming, index: number): readonly number[] {
    const { names, watchers, registryAt, ledgerAt } = this.#model;
    const row = [...state];
    for (let watcher = 0; watcher < watchers; watcher += 1) {
      const target = renaming[watcher] ?? watcher;
      const part = watcher < names.length ? "node" : "controller";
      row[target] = this.#label(part, index, renaming, state[watcher] ?? -1);
      row[watchers + target] = this.#label("channel", index, renaming, state[watchers + watcher] ?? -1);
    }
    row[registryAt] = this.#label("registry", index, renaming, state[registryAt] ?? -1);
    row[ledgerAt] = state[ledgerAt] ?? -1;
    return row;
  }

  #label(part: Part, index: number, renaming: Renaming, id: number): number {
    const key = `${part} ${index} ${id}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const label = this.#labels.idOf(`${part} ${this.#text(part, index, renaming, id)}`, null);
    this.#known.set(key, label);
    return label;
  }

  #text(part: Part, index: number, renaming: Renaming, id: number): string {
    const model = this.#model;
    switch (part) {
      case "node":
        return nodeText(model.nodes.at(id), renaming);
      case "controller":
        return controllerText(model.controllers.at(id), renaming);
      case "event":
        return textOf(model.events.at(id), renaming);
      case "channel":
        return channelText(model.channels.at(id), (event) => this.#label("event", index, renaming, event));
      case "registry":
        return textOf(model.registries.at(id), renaming);
    }
  }
}

function permutations(items: readonly number[]): readonly Renaming[] {
  if (items.length <= 1) return [items];
  return items.flatMap((first) =>
    permutations(items.filter((item) => item !== first)).map((rest) => [first, ...rest]),
  );
}

function isLess(one: readonly number[], other: readonly number[]): boolean {
  for (let column = 0; column < one.length; column += 1) {
    const [left = 0, right = 0] = [one[column], other[column]];
    if (left !== right) return left < right;
  }
  return false;
}
