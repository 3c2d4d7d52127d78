/** A lab's registry of which each server, and each program's way to it, can be disturbed alone. */
import type { LabLayout } from "../../../src/lab/fleet/layout.js";
import type { LabRegistry } from "../../../src/lab/registry/lab-registry.js";
import type { Target } from "./faults.js";

export interface ChaosRegistry {
  /** For `LabHost.makeRegistry`. */
  readonly make: (layout: LabLayout) => LabRegistry;
  /** The `registry` section of a program's file: agents by node from 0, then controllers. */
  section(program: number): object;
  /** Its servers, once started. */
  readonly servers: readonly Target[];
  /** A network that drops everything between one program and the registry. */
  freezeProgram(program: number): void;
  thawProgram(program: number): void;
  /** Ends every server by force; what they have stored stays. */
  takeAway(): Promise<void>;
  /** Starts them again. */
  bringBack(): Promise<void>;
}

/** Controllers of a lab under chaos: the lab's own, and one that stands by. */
export const controllers = 2;
