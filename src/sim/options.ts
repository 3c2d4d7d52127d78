/** What a simulated fleet is made of: options of the code under test, knobs of the models, and the hooks around it. */
import type { ControllerOptions } from "../core/fleet/controller-state.js";
import type { NodeName } from "../core/node.js";
import type { Prng } from "../core/prng.js";
import type { AgentOptions } from "../core/rotation/state.js";
import type { AgentPorts, StepAgent } from "../runtime/agent-loop.js";
import type { ControllerPorts, StepController } from "../runtime/controller-loop.js";
import type { Mesh } from "./model/mesh.js";

export interface SimOptions {
  readonly seed: number;
  readonly coordination: "barrier" | "pairwise";
  readonly agent?: Partial<AgentOptions>;
  readonly controller?: Partial<ControllerOptions>;
  /** Absent: every node talks to every other. */
  readonly mesh?: Mesh;
  readonly registryDelayMs?: (prng: Prng) => number;
  readonly operationMs?: (prng: Prng) => number;
  /** Besides the operations, once for each request to a kernel; absent: nothing. */
  readonly requestMs?: (prng: Prng) => number;
  /** From a save's request to its acknowledgement. */
  readonly saveMs?: (prng: Prng) => number;
  /** Milliseconds of a node's clock per millisecond of virtual time; drawn once for each node. */
  readonly clockRate?: (prng: Prng) => number;
  /** Time between two packets of one pair. */
  readonly packetIntervalMs?: number;
  /** What no policy matches goes plain: nothing guards the nodes' networks. Default false. */
  readonly isOpen?: boolean;
  /** Instead of the real machines: a mutant, or a checker around them. Chosen per node. */
  readonly step?: (name: NodeName) => StepAgent | undefined;
  readonly controllerStep?: StepController;
  /** Around the ports of each program that starts: a mutant, a recorder, or a behaviour of the field. */
  readonly wrapAgentPorts?: (name: NodeName, ports: AgentPorts) => AgentPorts;
  readonly wrapControllerPorts?: (name: string, ports: ControllerPorts) => ControllerPorts;
}
