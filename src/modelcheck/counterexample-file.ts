/** A counterexample as text, for `--trace FILE`: enough to play the same run in the simulator. */
import type { Violation } from "./checks.js";
import type { Move } from "./moves.js";
import type { Coordination } from "./scope.js";
import type { Counterexample } from "./search.js";

export interface CounterexampleFile {
  /** Tells it from a recording. */
  readonly kind: "modelcheck-counterexample";
  readonly schemaVersion: 1;
  readonly coordination: Coordination;
  readonly nodes: number;
  readonly joins: number;
  readonly controllers: number;
  /** Absent in files of versions without levels. */
  readonly levels?: number;
  readonly mutant: string | null;
  readonly violation: Violation;
  readonly moves: readonly Move[];
}

export function counterexampleFile(
  scope: Pick<CounterexampleFile, "coordination" | "nodes" | "joins" | "controllers" | "levels">,
  mutant: string | null,
  { violation, moves }: Counterexample,
): CounterexampleFile {
  const { coordination, nodes, joins, controllers, levels = 0 } = scope;
  return { kind: "modelcheck-counterexample", schemaVersion: 1, coordination, nodes, joins, controllers, levels, mutant, violation, moves };
}
