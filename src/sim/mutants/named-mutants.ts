/** All mutants by name, for `spindle simulate --mutant NAME`, the model checker and the table in verification.md. */
import { abandonmentMutants } from "./abandonment.js";
import { coordinationMutants } from "./coordination.js";
import { evidenceMutants } from "./evidence.js";
import { levelMutants } from "./levels.js";
import { lifecycleMutants } from "./lifecycle.js";
import type { Mutant } from "./mutant.js";
import { pathMutants } from "./paths.js";
import { retirementMutants } from "./retirement.js";

const all: readonly Mutant[] = [
  ...evidenceMutants,
  ...retirementMutants,
  ...lifecycleMutants,
  ...coordinationMutants,
  ...abandonmentMutants,
  ...levelMutants,
  ...pathMutants,
];

export const mutants: ReadonlyMap<string, Mutant> = new Map(all.map((mutant) => [mutant.name, mutant] as const));

/** @throws when there is none of that name: a fault of the caller, who chose from `mutants` */
export function mutantNamed(name: string): Mutant {
  const mutant = mutants.get(name);
  if (mutant === undefined) throw new Error(`no mutant ${name}`);
  return mutant;
}
