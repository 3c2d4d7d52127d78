/**
 * What one run of the checker explores: how many nodes, how often each fault and each operator's act may happen, and
 * with which step functions. Everything that is fixed or left out is here or in `abstractions`.
 */
import type { ControllerOptions } from "../core/fleet/controller-state.js";
import type { CheckValue, KeyId, KeyIdentity } from "../core/key-id.js";
import type { NodeAddresses, NodeName } from "../core/node.js";
import type { AgentOptions } from "../core/rotation/state.js";
import type { StepAgent } from "../runtime/agent-machine.js";
import type { StepController } from "../runtime/controller-machine.js";

export type Coordination = "barrier" | "pairwise";

/** How often each of these may happen in one run; they need not happen. */
export interface Budget {
  /** An agent or a controller dies (kill -9) at any point. */
  readonly crashes: number;
  /** A kernel loses all state: the machine boots, or its dataplane alone. */
  readonly reboots: number;
  /** The operator distributes a newer key. */
  readonly rotations: number;
  readonly aborts: number;
  /** Of the nodes, so many are not part of the fleet at first. */
  readonly joins: number;
  /** A watch has a gap and lists again, or a report does not reach the registry. */
  readonly losses: number;
  /** Barrier: a controller hears nothing of a node for so long that it excludes it, whatever the node does meanwhile. */
  readonly silences: number;
  /** Barrier: the operator moves the fleet, which begins at `accept`, to `require` and, if asked again, to `off`. */
  readonly levels: number;
}

export interface Scope extends Budget {
  readonly nodes: 2 | 3;
  readonly coordination: Coordination;
  /** Barrier: all of them believe to lead, all the time. */
  readonly controllers: number;
  /** Instead of the real machines, for mutants. */
  readonly step?: StepAgent;
  readonly controllerStep?: StepController;
  /** A guard of the world around the machines that is missing, for mutants. */
  readonly broken?: Rule;
}

export type Rule = "adopt-on-start" | "listed-reports" | "compare-and-set";

export const defaultScope: Scope = {
  nodes: 2,
  coordination: "barrier",
  controllers: 1,
  crashes: 0,
  reboots: 0,
  rotations: 1,
  aborts: 0,
  joins: 0,
  losses: 0,
  silences: 0,
  levels: 0,
};

/** Said with every result: what a run without a counterexample does not prove. */
export const abstractions: readonly string[] = [
  "bounded: the nodes, faults and operator's acts given; one address family; no node leaves",
  "time stands still: no deadline or jitter runs out, a lease only as a silence that the bounds allow; a drain sees its SAs idle at once, so the evidence alone must be right",
  "a packet arrives before its receiver does anything else; packets in flight across a step are left to the simulator",
  "files, dumps and registrations take no time; applying a plan, publishing a report and every delivery take any time",
  "one stream of a watcher is delivered in order, any number of its events per turn; two streams in one turn only when all is delivered",
  "no operation of a kernel fails; nobody else changes it",
  "plain packets are looked at where levels move, between lives that never lost state, and not where a node joins",
];

const letters = ["a", "b", "c"] as const;

export function nodeNames(count: number): readonly NodeName[] {
  return letters.slice(0, count) as readonly string[] as readonly NodeName[];
}

/** The position of a node says its index and its address. */
export function addressesOf(position: number): NodeAddresses {
  return { ipv4: `10.0.0.${position + 1}`, ipv6: null, udpPort: null };
}

export function keyOf(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: `${keyId}`.padStart(32, "0") as CheckValue };
}

/** The moment at which everything happens; any deadline lies out of reach. Milliseconds. */
export const nowMs = 1_000;
const neverMs = 1e12;

export function agentOptions(scope: Scope, name: NodeName, position: number): AgentOptions {
  return {
    name,
    addresses: addressesOf(position),
    coordination: scope.coordination,
    ring: 255,
    jitter: { enabled: false, mode: "uniform", maxMs: 0, minNodes: 0 },
    drainMs: 0,
    retireDeadlineMs: neverMs,
    emergencyDeadlineMs: neverMs,
    reportIntervalMs: 0,
    resyncMs: neverMs,
    massDeletionShare: 1,
    ...(scope.levels > 0 ? { policyLevel: "accept" } : {}),
  };
}

export const controllerOptions: ControllerOptions = {
  name: "controller",
  ring: 255,
  start: "auto",
  slow: "wait",
  silent: "exclude",
  silentMs: 1,
  excludeShareMax: 0,
  stageDeadlineMs: neverMs,
  retireDeadlineMs: neverMs,
  emergencyDeadlineMs: neverMs,
  drainMs: 0,
  jitterMaxMs: 0,
  jitterMinNodes: 0,
  keyDistributionMs: 0,
};
