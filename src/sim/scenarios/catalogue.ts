/** All scenarios by name. */
import { cilium25724 } from "./cilium-25724.js";
import { cilium29822 } from "./cilium-29822.js";
import { cilium37920 } from "./cilium-37920.js";
import { cilium39720 } from "./cilium-39720.js";
import { cilium42721 } from "./cilium-42721.js";
import { cilium44335 } from "./cilium-44335.js";
import { cilium44701 } from "./cilium-44701.js";
import { compromisedKey } from "./compromised-key.js";
import { controllerDiesInEachPhase } from "./controller-dies-in-each-phase.js";
import { kubeslice453 } from "./kubeslice-453.js";
import { lateSecret } from "./late-secret.js";
import { partitionInEachPhase } from "./partition-in-each-phase.js";
import type { Scenario } from "./scenario.js";
import { secondRotationInWindow } from "./second-rotation-in-window.js";
import { swarm1954 } from "./swarm-1954.js";

export const scenarios: readonly Scenario[] = [
  cilium44335,
  cilium44701,
  cilium42721,
  cilium29822,
  cilium39720,
  cilium37920,
  swarm1954,
  secondRotationInWindow,
  lateSecret,
  controllerDiesInEachPhase,
  partitionInEachPhase,
  compromisedKey,
  cilium25724,
  kubeslice453,
];

export function findScenario(name: string): Scenario | undefined {
  return scenarios.find((scenario) => scenario.name === name);
}
