/**
 * A controller as a value. Runs the production `ControllerMachine`, which here always leads: several of them are the
 * worst case of an election. A write or clearing is carried out by the caller at once: what delays it is a late input.
 */
import { assert } from "../core/assert.js";
import type { ControllerEffect } from "../core/fleet/controller-state.js";
import { ControllerMachine, type StepController } from "../runtime/controller-machine.js";
import type { ControllerInput } from "../runtime/controller-input.js";
import { controllerOptions, nowMs } from "./scope.js";
import { textOf, type Renaming } from "./text.js";

export interface ControllerState {
  /** Null while it is down. Never changed: an input makes a copy. */
  readonly machine: ControllerMachine | null;
  /** What the last turn asks for. */
  readonly asks: readonly ControllerEffect[];
}

export function startController(step: StepController | undefined): ControllerState {
  const machine = new ControllerMachine(controllerOptions, step);
  machine.take({ kind: "leading", leads: true }, nowMs);
  return { machine, asks: [] };
}

export const deadController: ControllerState = { machine: null, asks: [] };

/** All inputs, then one turn. */
export function feedController(controller: ControllerState, inputs: readonly ControllerInput[]): ControllerState {
  const machine = take(controller, inputs);
  const { effects } = machine.turn("", nowMs);
  return { machine, asks: effects };
}

/** The record was written by someone else meanwhile: nothing is tried before the watch brings it. */
export function loseWrite(controller: ControllerState): ControllerState {
  return { machine: take(controller, [{ kind: "retry-due", effect: "write-fleet" }]), asks: [] };
}

function take({ machine: before }: ControllerState, inputs: readonly ControllerInput[]): ControllerMachine {
  assert(before !== null, "only a running controller hears anything");
  const machine = before.copy();
  for (const input of inputs) machine.take(input, nowMs);
  return machine;
}

export function controllerText({ machine, asks }: ControllerState, renaming: Renaming | null = null): string {
  if (machine === null) return "down";
  const { watchingSinceMs, roster, reports, fleet, request } = machine.observe("");
  return textOf([watchingSinceMs, roster, reports, fleet, request, asks], renaming);
}
