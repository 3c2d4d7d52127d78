/**
 * A guard of the protocol taken away, by name. A mutant wraps a pure function or a port from outside; production code has
 * no flag for it. What a mutant breaks proves that the guard is needed, and that a checker sees it.
 */
import type { SimOptions } from "../options.js";

export interface Mutant {
  readonly name: string;
  /** The guard that is missing, as a sentence. */
  readonly without: string;
  readonly changes: Partial<SimOptions>;
}

/** Every agent takes this step instead of the real one. */
export function everywhere(step: NonNullable<ReturnType<NonNullable<SimOptions["step"]>>>): Partial<SimOptions> {
  return { step: () => step };
}
