/**
 * Breadth-first search over all interleavings, so that the first counterexample is a shortest one. When everything was
 * visited without one, it goes backwards from the states of rest: a state from which rest cannot be reached any more is
 * an L1 counterexample too, be it a deadlock or a circle without exit. Runs in slices, so that its caller can show
 * progress, watch a clock and stop.
 */
import { Checks, type Violation } from "./checks.js";
import { Model, type State } from "./model.js";
import { isFault, type Move } from "./moves.js";
import type { Scope } from "./scope.js";
import { settledFleet } from "./start.js";
import { NumberList, StateTable } from "./state-table.js";
import { Symmetry } from "./symmetry.js";
import { transitionsOf } from "./transitions.js";

export interface Counterexample {
  readonly violation: Violation;
  readonly moves: readonly Move[];
}

export interface Progress {
  readonly states: number;
  readonly transitions: number;
  /** Moves from the start to the states that are being looked at. */
  readonly depth: number;
  /** States met and not yet looked at. */
  readonly waiting: number;
  /** Bytes of the tables of states. */
  readonly bytes: number;
}

export type Outcome =
  | { readonly kind: "running" }
  | { readonly kind: "holds"; readonly restStates: number }
  | { readonly kind: "counterexample"; readonly found: Counterexample };

export interface SearchOptions {
  /** False keeps every state instead of one of each orbit; only to compare. */
  readonly symmetry: boolean;
}

export class Search {
  readonly model: Model;
  readonly #checks: Checks;
  readonly #symmetry: Symmetry | null;
  readonly #orbits: StateTable;
  readonly #states: StateTable | null;
  readonly #parents = new NumberList();
  /** Moves that are no faults, as pairs of states. */
  readonly #from = new NumberList();
  readonly #to = new NumberList();
  readonly #rest = new NumberList();
  #next = 0;
  #levelEnd = 1;
  #depth = 0;
  #transitions = 0;
  #outcome: Outcome = { kind: "running" };

  constructor(scope: Scope, options: SearchOptions = { symmetry: true }) {
    this.model = new Model(scope);
    this.#checks = new Checks(this.model);
    this.#symmetry = options.symmetry ? new Symmetry(this.model) : null;
    const start = settledFleet(this.model);
    this.#orbits = new StateTable(start.length);
    this.#states = options.symmetry ? new StateTable(start.length) : null;
    this.#meet(start, -1);
    const violation = this.#checks.find(start, null);
    if (violation !== null) this.#outcome = { kind: "counterexample", found: { violation, moves: [] } };
  }

  get progress(): Progress {
    const { size } = this.#orbits;
    const lists = [this.#parents, this.#from, this.#to, this.#rest].reduce((sum, list) => sum + list.bytes, 0);
    const bytes = this.#orbits.bytes + (this.#states?.bytes ?? 0) + lists;
    return { states: size, transitions: this.#transitions, depth: this.#depth, waiting: size - this.#next, bytes };
  }

  get outcome(): Outcome {
    return this.#outcome;
  }

  /** Looks at up to `count` more states. */
  advance(count: number): Outcome {
    for (let i = 0; i < count && this.#outcome.kind === "running"; i += 1) {
      if (this.#next === this.#orbits.size) this.#outcome = this.#concluded();
      else this.#visit();
    }
    return this.#outcome;
  }

  /** The states that were met, each as it was met. */
  *states(): IterableIterator<State> {
    for (let index = 0; index < this.#orbits.size; index += 1) yield this.#stateAt(index);
  }

  /** Of how many states each that was kept stands for. */
  orbitSize(state: State): number {
    return this.#symmetry?.sizeOf(state) ?? 1;
  }

  #stateAt(index: number): State {
    return (this.#states ?? this.#orbits).row(index);
  }

  #meet(state: State, parent: number): number {
    const { index, isNew } = this.#orbits.add(this.#symmetry?.orbitOf(state) ?? state);
    if (isNew) {
      this.#states?.append(state);
      this.#parents.push(parent);
    }
    return index;
  }

  #visit(): void {
    const index = this.#next;
    if (index === this.#levelEnd) {
      this.#levelEnd = this.#orbits.size;
      this.#depth += 1;
    }
    this.#next += 1;
    const state = this.#stateAt(index);
    let mayRest = true;
    for (const { move, state: after } of transitionsOf(this.model, state)) {
      this.#transitions += 1;
      const target = this.#meet(after, index);
      if (!isFault(move)) {
        mayRest = false;
        this.#from.push(index);
        this.#to.push(target);
      }
      const violation = target === this.#orbits.size - 1 ? this.#checks.find(after, move) : null;
      if (violation !== null) return this.#report(violation, index, move);
    }
    if (mayRest) this.#settle(state, index);
  }

  #settle(state: State, index: number): void {
    const violation = this.#checks.findUnrest(state);
    if (violation !== null) this.#report(violation, index, null);
    else this.#rest.push(index);
  }

  #report(violation: Violation, index: number, last: Move | null): void {
    const moves = this.#movesTo(index);
    this.#outcome = { kind: "counterexample", found: { violation, moves: last === null ? moves : [...moves, last] } };
  }

  #movesTo(index: number): readonly Move[] {
    const moves: Move[] = [];
    for (let child = index; this.#parents.at(child) >= 0; child = this.#parents.at(child)) {
      const wanted = this.#stateAt(child).join();
      const steps = transitionsOf(this.model, this.#stateAt(this.#parents.at(child)));
      const step = steps.find(({ state }) => state.join() === wanted);
      if (step === undefined) throw new Error("bug: a state was met by no move");
      moves.push(step.move);
    }
    return moves.reverse();
  }

  #concluded(): Outcome {
    const stuck = this.#firstWithoutRest();
    if (stuck === null) return { kind: "holds", restStates: this.#rest.size };
    const message = "from here the fleet never comes to rest, whatever happens next";
    return { kind: "counterexample", found: { violation: { invariant: "L1", message }, moves: this.#movesTo(stuck) } };
  }

  /** Backwards along all moves that are no faults, from the states of rest. */
  #firstWithoutRest(): number | null {
    const size = this.#orbits.size;
    const { starts, sources } = this.#backwards(size);
    const reaches = new Uint8Array(size);
    const stack: number[] = [];
    for (let i = 0; i < this.#rest.size; i += 1) stack.push(this.#rest.at(i));
    for (const index of stack) reaches[index] = 1;
    for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
      for (let edge = starts[index] ?? 0; edge < (starts[index + 1] ?? 0); edge += 1) {
        const source = sources[edge] ?? 0;
        if (reaches[source] === 1) continue;
        reaches[source] = 1;
        stack.push(source);
      }
    }
    const stuck = reaches.indexOf(0);
    return stuck < 0 ? null : stuck;
  }

  /** The sources of the moves into state i lie from starts[i] to starts[i + 1]. */
  #backwards(size: number): { readonly starts: Int32Array; readonly sources: Int32Array } {
    const starts = new Int32Array(size + 1);
    const edges = this.#from.size;
    for (let edge = 0; edge < edges; edge += 1) starts[this.#to.at(edge) + 1] = (starts[this.#to.at(edge) + 1] ?? 0) + 1;
    for (let index = 0; index < size; index += 1) starts[index + 1] = (starts[index + 1] ?? 0) + (starts[index] ?? 0);
    const places = starts.slice();
    const sources = new Int32Array(edges);
    for (let edge = 0; edge < edges; edge += 1) {
      const target = this.#to.at(edge);
      sources[places[target] ?? 0] = this.#from.at(edge);
      places[target] = (places[target] ?? 0) + 1;
    }
    return { starts, sources };
  }
}
