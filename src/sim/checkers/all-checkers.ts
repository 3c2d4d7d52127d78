/** The checkers of a whole run, in the order in which their findings are told. */
import type { KeyIdentity } from "../../core/key-id.js";
import type { SimFleet } from "../fleet.js";
import type { Checker } from "./checker.js";
import { ConvergenceChecker } from "./convergence.js";
import { CounterReuseChecker } from "./counter-reuse.js";
import { EarlyRetireChecker, type RetireRules } from "./early-retire.js";
import { ForeignChecker } from "./foreign.js";
import type { History } from "./history.js";
import { LossChecker } from "./loss.js";
import { PlaintextChecker } from "./plaintext.js";
import { SpentKeyChecker } from "./spent-key.js";

export interface Watch extends RetireRules {
  readonly fleet: SimFleet;
  readonly history: History;
  /** What is special about the run, for the causes: `order = advertise-first`, `mutant = NAME`; null for nothing. */
  readonly label: string | null;
  /** The key that the fleet must end on; null when the run does not end at rest. */
  readonly newest: (() => KeyIdentity) | null;
}

/** S1 to S6 and, for a run that must come to rest, L1. The budget holds only without faults: `BudgetChecker`. */
export function allCheckers(watch: Watch): readonly Checker[] {
  const { fleet, history, label, newest } = watch;
  return [
    new LossChecker(fleet, history, label),
    new EarlyRetireChecker(fleet, history, watch),
    new PlaintextChecker(fleet, history),
    new CounterReuseChecker(fleet),
    new SpentKeyChecker(fleet),
    new ForeignChecker(history),
    ...(newest === null ? [] : [new ConvergenceChecker(fleet, newest)]),
  ];
}
