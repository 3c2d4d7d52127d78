/**
 * One host as a value: kernel, disk, key file and the agent's machine, and what each input makes of it. Runs the
 * production `AgentMachine`. Saves, dumps and forgetting end at once: nothing of the agent's own acts before they end,
 * so a late end is a late input. An apply and a report stay under way until a move of their own ends them.
 */
import { assert } from "../core/assert.js";
import type { KeyIdentity } from "../core/key-id.js";
import type { IncarnationId, NodeName, RosterEntry } from "../core/node.js";
import { PersistentMap } from "../core/persistent-map.js";
import type { Report } from "../core/report.js";
import { noDurableState, type CheckpointNode, type DurableState } from "../core/rotation/durable.js";
import type { Effect } from "../core/rotation/effect.js";
import type { AgentOptions } from "../core/rotation/state.js";
import type { Operation } from "../core/sa.js";
import type { RegisterRequest } from "../ports/registry.js";
import type { AgentInput } from "../runtime/agent-input.js";
import { AgentMachine, type StepAgent } from "../runtime/agent-machine.js";
import { applyStages, dumpOf, newKernel, readBack, rebooted, selectedTo, sendsPlain, type ModelKernel } from "./kernel.js";
import { nowMs } from "./scope.js";
import { textOf, type Renaming } from "./text.js";

export interface NodeState {
  readonly name: NodeName;
  readonly kernel: ModelKernel;
  readonly disk: { readonly durable: DurableState; readonly checkpoint: PersistentMap<NodeName, CheckpointNode> };
  /** The key file, and its number among all that were distributed. */
  readonly file: { readonly generation: number; readonly keys: readonly KeyIdentity[] };
  /** Incarnations whose kernel state a reboot took. */
  readonly lost: readonly IncarnationId[];
  /** Pairs of lives between which the last apply stopped sending. */
  readonly stopped: readonly { readonly from: IncarnationId; readonly to: IncarnationId }[];
  /** Null while the agent is down. Never changed: an input makes a copy. */
  readonly machine: AgentMachine | null;
  /** Before its first start a node is no part of the fleet. */
  readonly hasJoined: boolean;
}

/** A node after an input, and the registration that it asks for. */
export interface Reaction {
  readonly node: NodeState;
  readonly register: RegisterRequest | null;
}

export type MakeMachine = (node: NodeState) => AgentMachine;

export function machineMaker(options: AgentOptions, step: StepAgent | undefined): MakeMachine {
  return ({ disk }) => new AgentMachine(options, disk.durable, disk.checkpoint, step);
}

export function newNode(name: NodeName, keys: readonly KeyIdentity[]): NodeState {
  return {
    name,
    kernel: newKernel,
    disk: { durable: noDurableState, checkpoint: PersistentMap.empty() },
    file: { generation: 0, keys },
    lost: [],
    stopped: [],
    machine: null,
    hasJoined: false,
  };
}

/** The agent starts: it connects to the dataplane and reads the key file, then waits for the registry. */
export function startNode(node: NodeState, makeMachine: MakeMachine): Reaction {
  const machine = makeMachine(node);
  machine.take({ kind: "dataplane", change: "connected" }, nowMs);
  machine.take({ kind: "keys", keys: node.file.keys }, nowMs);
  return settle({ ...node, hasJoined: true, machine });
}

/** All inputs, then one turn. */
export function feed(node: NodeState, inputs: readonly AgentInput[]): Reaction {
  assert(node.machine !== null, "only a running agent hears anything");
  const machine = node.machine.copy();
  for (const input of inputs) machine.take(input, nowMs);
  return settle({ ...node, stopped: [], machine });
}

/** The kernel carries out the whole plan, and the agent reads back what is there. */
export function finishApply(node: NodeState): Reaction {
  const effect = node.machine?.underWay("apply") ?? null;
  assert(effect !== null && node.machine !== null, "an apply is under way");
  const kernel = applyStages(node.kernel, effect.stages);
  const machine = node.machine.copy();
  const outcome = readBack(kernel, effect.stages.flat(), (slot) => machine.world.recognise(slot));
  machine.take({ kind: "applied", outcome }, nowMs);
  return settle({ ...node, kernel, machine, stopped: stoppedBy(node, kernel, effect.stages.flat()) });
}

function stoppedBy(node: NodeState, after: ModelKernel, operations: readonly Operation[]): NodeState["stopped"] {
  return operations.flatMap((operation) => {
    if (operation.kind !== "set-policy" || operation.policy.direction !== "out") return [];
    const { remote } = operation.policy;
    const before = selectedTo(node.kernel, remote);
    if (before === null || before === "none" || selectedTo(after, remote) !== null || sendsPlain(after, remote)) return [];
    return [{ from: before.key.from.incarnationId, to: before.key.to.incarnationId }];
  });
}

/** The agent hears of the dataplane's new life; a plan that was under way has failed. */
export function noticeReboot(node: NodeState): Reaction {
  const inputs: AgentInput[] = [{ kind: "dataplane", change: "foreign-change" }];
  if (node.machine?.isUnderWay("apply") === true) inputs.push({ kind: "retry-due", effect: "apply" });
  return feed(node, inputs);
}

export function readFile(node: NodeState, file: NodeState["file"]): Reaction {
  if (node.machine === null) return { node: { ...node, file }, register: null };
  return feed({ ...node, file }, [{ kind: "keys", keys: file.keys }]);
}

/** kill -9, after so many stages of the plan under way. */
export function crash(node: NodeState, stages: number): NodeState {
  const plan = node.machine?.underWay("apply")?.stages ?? [];
  return { ...node, kernel: applyStages(node.kernel, plan.slice(0, stages)), stopped: [], machine: null };
}

export function reboot(node: NodeState, isHost: boolean): NodeState {
  const id = node.disk.durable.incarnation?.id;
  const lost = id === undefined || node.lost.includes(id) ? node.lost : [...node.lost, id];
  const kernel = rebooted(node.kernel, isHost);
  return { ...node, kernel, lost, stopped: [], machine: isHost ? null : node.machine };
}

/** The report that is on its way to the registry. */
export function reportUnderWay({ machine }: NodeState): Report | null {
  return machine === null ? null : reportOf(machine);
}

function reportOf(machine: AgentMachine): Report | null {
  const effect = machine.underWay("publish-report");
  return effect === null ? null : withoutTimes(effect.report);
}

function withoutTimes(report: Report): Report {
  return { ...report, stagingMs: null, waitingMs: null };
}

const turnsMax = 60;

/** Turns until nothing is left that ends at once. */
function settle(before: NodeState): Reaction {
  let node = before;
  const { machine } = node;
  assert(machine !== null, "the agent runs");
  let register: RegisterRequest | null = null;
  for (let turn = 0; turn < turnsMax; turn += 1) {
    const step = machine.turn({ spareIncarnationId: spareId(node), chance: 0 }, nowMs);
    let isQuiet = step.wakeAtMs === null || step.wakeAtMs > nowMs;
    for (const effect of step.effects) {
      if (effect.kind === "register") register = { ...effect, name: node.name };
      const ended = endAtOnce(node, machine, effect);
      if (ended === null) continue;
      node = ended;
      isQuiet = false;
    }
    if (isQuiet) return { node, register };
  }
  assert(false, "an agent comes to rest when nothing more happens");
}

/** Null for an effect that stays under way. */
function endAtOnce(node: NodeState, machine: AgentMachine, effect: Effect): NodeState | null {
  switch (effect.kind) {
    case "save-state":
      machine.take({ kind: "state-saved" }, nowMs);
      return { ...node, disk: { ...node.disk, durable: effect.durable } };
    case "save-checkpoint":
      machine.take({ kind: "checkpoint-saved" }, nowMs);
      return { ...node, disk: { ...node.disk, checkpoint: effect.checkpoint } };
    case "read-kernel": {
      const dump = dumpOf(node.kernel, (slot) => machine.world.recognise(slot));
      machine.take({ kind: "dumped", dump }, nowMs);
      return node;
    }
    default:
      return null;
  }
}

export function admit(node: NodeState, entry: RosterEntry): Reaction {
  return feed(node, [{ kind: "admitted", entry }]);
}

/** Lives are numbered: an id that was made and not saved was never used. */
function spareId({ name, disk }: NodeState): IncarnationId {
  const number = Number(disk.durable.incarnation?.id.split("#")[1] ?? 0);
  return `${name}#${number + 1}` as IncarnationId;
}

/**
 * Facts, counts and plans follow from the rest and are left out; so are durations and the number of dumps, of which only
 * the difference to the drain's first one counts.
 */
export function nodeText(node: NodeState, renaming: Renaming | null = null): string {
  const { machine, ...host } = node;
  return textOf([host, machine === null ? null : machineParts(machine)], renaming);
}

const noId = "" as IncarnationId;

function machineParts(machine: AgentMachine): unknown {
  const { state, world } = machine;
  const { roster, reports, fleet, request, keys, publishedReport, kernel } = world.observe(noId, 0);
  const { peers, recognisedWith, stale, connected, identity, dumpSerial } = kernel;
  const apply = machine.underWay("apply");
  return {
    roster,
    reports,
    fleet,
    request,
    keys,
    kernel: { peers, recognisedWith, stale, connected, identity },
    published: publishedReport && withoutTimes(publishedReport),
    durable: state.durable,
    checkpoint: state.checkpoint,
    context: state.context,
    started: state.started,
    phase: state.phase,
    through: state.through,
    wait: state.wait?.key ?? null,
    drain: state.drain && { ...state.drain, dumpSerial: dumpSerial - state.drain.dumpSerial },
    heldDeletions: state.deletionsHeld,
    apply: apply === null ? null : apply.stages.map((stage) => ({ items: stage })),
    report: reportOf(machine),
  };
}
