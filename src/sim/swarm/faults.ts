/** What can go wrong in a swarm run. A fault says what it did, or null when it has no victim at this time. */
import type { NodeName } from "../../core/node.js";
import type { Prng } from "../../core/prng.js";
import type { SimFleet } from "../fleet.js";
import { parseAddresses } from "../model/host.js";
import type { Operator } from "./operator.js";

export interface Scene {
  readonly fleet: SimFleet;
  readonly operator: Operator;
  readonly prng: Prng;
  readonly coordination: "barrier" | "pairwise";
  readonly isDualStack: boolean;
  readonly networks: number;
}

export type Fault = (scene: Scene) => string | null;

const nodesMax = 7;
const lookAgainMs = 1_000;
/** Longer than `silentMs` of the simulated controllers. */
const longMs = 9_000;

export const faults = {
  rotate: ({ operator }) => {
    if (!operator.isSettled()) return null;
    operator.rotate();
    return `to ${operator.newest.keyId}`;
  },
  "rotate-again": ({ operator, prng }) => {
    if (operator.isSettled() || !operator.canReturn() || prng.below(3) > 0) return null;
    operator.rotate();
    return `to ${operator.newest.keyId} although the rotation before has not ended`;
  },
  abort: ({ operator }) => {
    if (operator.newest.keyId === 1) return null;
    operator.abort();
    return `of ${operator.newest.keyId}`;
  },
  compromise: ({ operator, fleet, prng }) => {
    if (prng.below(4) > 0) return null;
    operator.declareCompromised();
    later(fleet, 2_000 + prng.below(6_000), () => operator.withdraw());
    return `of ${operator.compromised.at(-1)?.keyId ?? 0}`;
  },
  "kill-agent": (scene) => {
    const { fleet } = scene;
    const name = pickLive(scene);
    fleet.killAgent(name);
    later(fleet, outageMs(scene), () => restart(fleet, name));
    return name;
  },
  reboot: (scene) => {
    const name = pickLive(scene);
    scene.fleet.reboot(name);
    return name;
  },
  "reboot-host": (scene) => {
    const { fleet } = scene;
    const name = pickLive(scene);
    fleet.rebootHost(name);
    later(fleet, outageMs(scene), () => restart(fleet, name));
    return name;
  },
  join: (scene) => {
    const { fleet, operator } = scene;
    if (fleet.live().length >= nodesMax) return null;
    return fleet.addNode(`n${fleet.nodes.size}`, operator.file(), freshAddresses(fleet, scene));
  },
  leave: (scene) => {
    if (scene.fleet.live().length <= 2) return null;
    const name = pickLive(scene);
    scene.fleet.leave(name);
    // A registration that was under way may have come after: the operator looks again.
    later(scene.fleet, lookAgainMs, () => scene.fleet.node(name).departed && scene.fleet.registry.remove(name));
    return name;
  },
  move: (scene) => {
    const { fleet, prng } = scene;
    const names = [...fleet.nodes.keys()];
    const name = names[prng.below(names.length)] as NodeName;
    const addresses = freshAddresses(fleet, scene, `1${fleet.time.nowMs.toFixed(0)}`);
    if (scene.networks === 0 || fleet.node(name).departed || prng.below(2) === 0) {
      fleet.moveTo(name, addresses);
      return `${name} to ${addresses}`;
    }
    const [kept = ""] = fleet.node(name).addresses.cidrs ?? [];
    const cidrs = [kept, ...(parseAddresses(addresses).cidrs ?? [])].sort();
    fleet.renumber(name, cidrs);
    return `${name} has the networks ${cidrs.join()}`;
  },
  "recycle-address": (scene) => {
    const { fleet, operator } = scene;
    const left = [...fleet.nodes.values()].find((node) => node.departed && !isTaken(fleet, node.addresses.ipv4));
    if (left === undefined) return null;
    const { ipv4, ipv6, cidrs = [] } = left.addresses;
    const name = fleet.addNode(`n${fleet.nodes.size}`, operator.file(), [ipv4, ipv6, ...cidrs].filter(Boolean).join());
    return `${name} gets the address of ${left.name}`;
  },
  partition: (scene) => {
    const { fleet, prng } = scene;
    const name = pickLive(scene);
    fleet.partition(name, prng.below(2) === 0);
    later(fleet, outageMs(scene), () => fleet.heal(name));
    return name;
  },
  compact: (scene) => {
    const { fleet, prng } = scene;
    const name = pickLive(scene);
    const streams = scene.coordination === "barrier" ? (["roster", "fleet"] as const) : (["roster", "reports"] as const);
    for (const stream of streams) fleet.hold(name, stream);
    const compactMs = prng.below(2_000);
    later(fleet, compactMs, () => fleet.registry.compact());
    later(fleet, compactMs + prng.below(500), () => streams.forEach((stream) => fleet.release(name, stream)));
    return `of the registry, behind which ${name} falls`;
  },
  "torn-key-file": (scene) => {
    const { fleet, operator } = scene;
    const name = pickLive(scene);
    const node = fleet.node(name);
    const before = node.keys;
    node.keys = { kind: "invalid", code: "KEYFILE_FIELD_COUNT", message: "line 2 has too few fields" };
    for (const read of node.keyWatchers) read(node.keys);
    later(fleet, scene.prng.below(2_000), () => {
      if (node.keys.kind === "invalid") fleet.setKeys(name, before.kind === "valid" ? before.keys : operator.file());
    });
    return name;
  },
  "kernel-errors": (scene) => {
    const { fleet, prng } = scene;
    const name = pickLive(scene);
    const { kernel } = fleet.node(name);
    kernel.fails = () => prng.below(4) === 0;
    later(fleet, prng.below(2_000), () => (kernel.fails = () => false));
    return name;
  },
  "kill-controllers": ({ fleet, prng, coordination }) => {
    if (coordination === "pairwise") return null;
    for (const index of fleet.controllers.keys()) fleet.killController(index);
    later(fleet, prng.below(1_000), () => fleet.addController());
    return "all";
  },
  "partition-controller": ({ fleet, prng, coordination }) => {
    if (coordination === "pairwise") return null;
    const alive = fleet.controllers.filter((controller) => controller.alive);
    const controller = alive[prng.below(alive.length)];
    if (controller === undefined) return null;
    fleet.registry.cut(controller.link, prng.below(2) === 0);
    later(fleet, prng.below(3_000), () => fleet.registry.heal(controller.link));
    return `controller-${fleet.controllers.indexOf(controller)}`;
  },
  tamper: (scene) => {
    const name = pickLive(scene);
    const slots = [...scene.fleet.node(name).kernel.slots()];
    const slot = slots[scene.prng.below(slots.length)];
    if (slot === undefined) return null;
    scene.fleet.tamper(name, slot);
    return `${name} ${slot.direction} ${slot.spi}`;
  },
} satisfies Record<string, Fault>;

export type FaultName = keyof typeof faults;

function later(fleet: SimFleet, delayMs: number, run: () => void): void {
  fleet.time.at(fleet.time.nowMs + delayMs, run);
}

function restart(fleet: SimFleet, name: NodeName): void {
  if (!fleet.node(name).departed) fleet.startAgent(name);
}

function pickLive({ fleet, prng }: Scene): NodeName {
  const live = fleet.live();
  return live[prng.below(live.length)] as NodeName;
}

/** Mostly short; one in eight is long enough to be excluded. */
function outageMs({ prng }: Scene): number {
  return prng.below(8) === 0 ? longMs : prng.below(1_500);
}

/** Addresses and networks that no node has had. */
export function freshAddresses(
  fleet: SimFleet,
  { isDualStack, networks }: Pick<Scene, "isDualStack" | "networks">,
  salt = "",
): string {
  const host = `${fleet.nodes.size + 1}${salt}`;
  const cidrs = Array.from({ length: networks }, (_, place) => {
    const ipv4 = `10.2.${host}.${place}/32`;
    return isDualStack ? `${ipv4},fd01::${host}:${place}/128` : ipv4;
  });
  return [isDualStack ? `10.1.${host},fd00::${host}` : `10.1.${host}`, ...cidrs].join();
}

function isTaken(fleet: SimFleet, ipv4: string | null): boolean {
  return [...fleet.nodes.values()].some((node) => !node.departed && node.addresses.ipv4 === ipv4);
}
