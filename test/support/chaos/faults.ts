/** What chaos does to a lab: each fault begins, lasts and ends, and never touches a dataplane. */
import type { Prng } from "../../../src/core/prng.js";
import type { Lab } from "../../../src/lab/lab.js";
import type { Program } from "../../../src/lab/fleet/program.js";
import type { ProxiedEtcd } from "./proxied-etcd.js";

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

/** Members, agents and the controller of a lab. */
export function targetsOf(lab: Lab, etcd: ProxiedEtcd): readonly Target[] {
  const { nodes } = lab;
  const members = etcd.members.map((_, index) => memberTarget(etcd, index));
  const agents = nodes.map(({ name, agent, node }) =>
    programTarget(`${name} agent`, agent, () => lab.killAgent(node), etcd, node),
  );
  const kill = (): Promise<void> => lab.killController();
  const controller = programTarget("controller", lab.controller, kill, etcd, nodes.length);
  return [...members, ...agents, controller];
}

function memberTarget(etcd: ProxiedEtcd, index: number): Target {
  const member = etcd.members[index];
  return {
    name: `etcd member ${index + 1}`,
    begin: {
      kill: async () => {
        await member?.stop("SIGKILL");
        return async () => member?.start();
      },
      stop: async () => {
        member?.signal("SIGSTOP");
        return async () => member?.signal("SIGCONT");
      },
      cut: async () => {
        await etcd.cutMember(index);
        return () => etcd.mendMember(index);
      },
    },
  };
}

/** @param kill ends it by force and resolves when the lab has started it again */
function programTarget(
  name: string,
  program: Program,
  kill: () => Promise<void>,
  etcd: ProxiedEtcd,
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
        etcd.freezeProgram(index);
        return async () => etcd.thawProgram(index);
      },
    },
  };
}
