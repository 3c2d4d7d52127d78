/**
 * A controller as a value. Runs the production `ControllerMachine`, which here always leads: several of them are the
 * worst case of an election. A write or clearing is carried out by the caller at once: what delays it is a late input.
 */
import { assert } from "../core/assert.js";
import type { ControllerEffect } from "../core/fleet/controller-state.js";
import { silenceMs } from "../core/fleet/stragglers.js";
import type { NodeName } from "../core/node.js";
import { ControllerMachine, type StepController } from "../runtime/controller-machine.js";
import type { ControllerInput } from "../runtime/controller-input.js";
import { controllerOptions, nowMs } from "./scope.js";
import { textOf, type Renaming } from "./text.js";

export interface ControllerState {
  /** Null while it is down. Never changed: an input makes a copy. */
  readonly machine: ControllerMachine | null;
  /** What the last turn asks for. */
  readonly asks: readonly ControllerEffect[];
  /** Its clock, milliseconds. Moves only when it misses a node: who is silent says all that there is to know of it. */
  readonly clockMs: number;
}

export function startController(step: StepController | undefined): ControllerState {
  const machine = new ControllerMachine(controllerOptions, step);
  machine.take({ kind: "leading", leads: true }, nowMs);
  return { machine, asks: [], clockMs: nowMs };
}

export const deadController: ControllerState = { machine: null, asks: [], clockMs: nowMs };

/** All inputs, then one turn. */
export function feedController(controller: ControllerState, inputs: readonly ControllerInput[]): ControllerState {
  const { clockMs } = controller;
  const machine = take(controller, inputs);
  const { effects } = machine.turn("", clockMs);
  return { machine, asks: effects, clockMs };
}

/** The record was written by someone else meanwhile: nothing is tried before the watch brings it. */
export function loseWrite(controller: ControllerState): ControllerState {
  return { ...controller, machine: take(controller, [{ kind: "retry-due", effect: "write-fleet" }]), asks: [] };
}

/** Time passes in which every lease is renewed but those of this node and of who is silent already. */
export function missNode(controller: ControllerState, missed: NodeName): ControllerState {
  const silent = silentNodes(controller);
  const later = { ...controller, clockMs: controller.clockMs + controllerOptions.silentMs };
  return feedController(later, [leases(controller, (name) => name !== missed && !silent.includes(name))]);
}

export function hearNode(controller: ControllerState, heard: NodeName): ControllerState {
  return feedController(controller, [leases(controller, (name) => name === heard)]);
}

/** All leases as this controller knows them, renewed or not. */
function leases({ machine }: ControllerState, isRenewed: (name: NodeName) => boolean): ControllerInput {
  assert(machine !== null, "only a running controller looks at leases");
  const entries = [...machine.observe("").roster.entries.values()];
  return {
    kind: "leases",
    leases: entries.map(({ name, incarnationId }) => {
      const known = machine.state.beats.get(name)?.beat ?? 0;
      return { name, incarnationId, beat: isRenewed(name) ? known + 1 : known };
    }),
  };
}

/** Those whom it could miss: it sees leases at all, and heard of them. */
export function heardNodes(controller: ControllerState): readonly NodeName[] {
  const { machine } = controller;
  if (machine === null || machine.observe("").watchingSinceMs === null) return [];
  const silent = silentNodes(controller);
  return [...machine.state.beats.keys()].filter((name) => !silent.includes(name));
}

export function silentNodes({ machine, clockMs }: ControllerState): readonly NodeName[] {
  if (machine === null) return [];
  const observation = machine.observe("");
  const isSilent = (name: NodeName): boolean => silenceMs(machine.state, observation, name, clockMs) >= controllerOptions.silentMs;
  return [...machine.state.beats.keys()].filter(isSilent);
}

function take({ machine: before, clockMs }: ControllerState, inputs: readonly ControllerInput[]): ControllerMachine {
  assert(before !== null, "only a running controller hears anything");
  const machine = before.copy();
  for (const input of inputs) machine.take(input, clockMs);
  return machine;
}

export function controllerText(controller: ControllerState, renaming: Renaming | null = null): string {
  const { machine, asks } = controller;
  if (machine === null) return "down";
  const { watchingSinceMs, roster, reports, fleet, request } = machine.observe("");
  const silent = silentNodes(controller);
  return textOf({ watches: watchingSinceMs !== null, roster, reports, fleet, request, asks, silent }, renaming);
}
