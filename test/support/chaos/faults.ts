/** What chaos does to a lab: each fault begins, lasts and ends, and never touches a dataplane. */
import type { Prng } from "../../../src/core/prng.js";
import type { Lab } from "../../../src/lab/lab.js";
import type { Program } from "../../../src/lab/fleet/program.js";
import type { ChaosRegistry } from "./chaos-registry.js";
import type { Standby } from "./standby.js";

export const faultKinds = ["kill", "stop", "cut"] as const;
export type FaultKind = (typeof faultKinds)[number];

/** One thing at a time happens to a target. */
export interface Target {
  readonly name: string;
  /** Resolves with how it ends. */
  readonly begin: Readonly<Record<FaultKind, () => Promise<() => Promise<void>>>>;
}

export interface PlannedFault {
  readonly afterMs: number;
  readonly target: number;
  readonly kind: FaultKind;
  readonly lastsMs: number;
}

const gapMsMax = 1_200;
const lastsMsMin = 300;
const lastsMsMax = 5_000;

/** Each kind comes about equally often; everything else is drawn. */
export function planFaults(prng: Prng, targets: number, count: number): readonly PlannedFault[] {
  return Array.from({ length: count }, (_, index) => ({
    afterMs: prng.below(gapMsMax),
    target: prng.below(targets),
    kind: faultKinds[(index + prng.below(2)) % faultKinds.length] ?? "kill",
    lastsMs: lastsMsMin + prng.below(lastsMsMax - lastsMsMin),
  }));
}

/** Servers of the registry, agents and both controllers of a lab. */
export function targetsOf(lab: Lab, registry: ChaosRegistry, standby: Standby): readonly Target[] {
  const { nodes } = lab;
  const agents = nodes.map(({ name, agent, node }) =>
    programTarget(`${name} agent`, agent, () => lab.killAgent(node), registry, node),
  );
  const kill = (): Promise<void> => lab.killController();
  const leader = programTarget("controller", lab.controller, kill, registry, nodes.length);
  const { program } = standby;
  const other = programTarget("controller 2", program, () => standby.kill(), registry, nodes.length + 1);
  return [...registry.servers, ...agents, leader, other];
}

/** @param kill ends it by force and resolves when it has been started again */
function programTarget(
  name: string,
  program: Program,
  kill: () => Promise<void>,
  registry: ChaosRegistry,
  index: number,
): Target {
  return {
    name,
    begin: {
      kill: async () => {
        await kill();
        return async () => undefined;
      },
      stop: async () => {
        const { pid } = program;
        if (pid !== null) process.kill(pid, "SIGSTOP");
        return async () => {
          if (pid !== null && program.pid === pid) process.kill(pid, "SIGCONT");
        };
      },
      cut: async () => {
        registry.freezeProgram(index);
        return async () => registry.thawProgram(index);
      },
    },
  };
}
