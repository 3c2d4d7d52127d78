/** What a seed makes a fleet of: coordination, speeds, jitter, address families. */
import { makePrng, type Prng } from "../../core/prng.js";
import type { PolicyLevel } from "../../core/policy-level.js";
import type { SimFleet } from "../fleet.js";
import type { SimOptions } from "../options.js";

export interface SwarmOptions {
  readonly sim: SimOptions;
  /** The operator moves the fleet between levels, and at last here; null for a fleet that stays at `require`. */
  readonly level: PolicyLevel | null;
  readonly isDualStack: boolean;
  /** Tunnel mode: so many networks behind each node, of each family; 0 for transport mode. */
  readonly networks: number;
}

/** Deadlines out of reach, so that a forced retire is a finding; only the emergency's is near. */
const farMs = 3_600_000;

export function drawOptions(seed: number, prng: Prng): SwarmOptions {
  const slowestMs = [5, 20, 20, 150][prng.below(4)] ?? 20;
  const operationMsMax = [0.2, 0.2, 5][prng.below(3)] ?? 0.2;
  const coordination = prng.below(2) === 0 ? "barrier" : "pairwise";
  const enabled = prng.below(2) === 0;
  const mode = prng.below(2) === 0 ? "uniform" : "slotted";
  const sim: SimOptions = {
    seed,
    coordination,
    agent: {
      massDeletionShare: 1,
      retireDeadlineMs: farMs,
      jitter: { enabled, mode, maxMs: 300, minNodes: 0 },
    },
    controller: { retireDeadlineMs: farMs },
    registryDelayMs: (chance) => 1 + chance.below(slowestMs),
    operationMs: (chance) => 0.05 + chance.share() * operationMsMax,
    packetIntervalMs: 10,
    ...drawHosts(makePrng(seed * 104_729 + 3)),
  };
  const isDualStack = prng.below(4) === 0;
  const networks = drawNetworks(makePrng(seed * 104_729 + 5));
  const levels = coordination === "barrier" ? drawLevels(makePrng(seed * 130_363 + 7)) : null;
  if (levels === null) return { sim, level: null, isDualStack, networks };
  const open = { ...sim, isOpen: true, agent: { ...sim.agent, policyLevel: levels.first } };
  return { sim: open, level: levels.last, isDualStack, networks };
}

/** In every fourth barrier fleet levels move. Of its own, so that they change nothing in the others. */
function drawLevels(prng: Prng): { readonly first: PolicyLevel; readonly last: PolicyLevel } | null {
  if (prng.below(4) > 0) return null;
  const draw = (choices: readonly PolicyLevel[]): PolicyLevel => choices[prng.below(choices.length)] ?? "require";
  return { first: draw(["off", "accept", "accept", "prefer", "require"]), last: draw(["accept", "prefer", "require", "require"]) };
}

/**
 * Clocks that run apart by a few per mille, slow disks, so that a crash may fall into a save, and kernels that take their
 * time for each request.
 */
function drawHosts(prng: Prng): Pick<SimOptions, "clockRate" | "saveMs" | "requestMs"> {
  const skew = [0, 0, 0.003][prng.below(3)] ?? 0;
  const slowestMs = [1, 1, 300][prng.below(3)] ?? 1;
  const requestMsMax = [0, 0, 4][prng.below(3)] ?? 0;
  return {
    clockRate: (chance) => 1 + skew * (2 * chance.share() - 1),
    saveMs: (chance) => 0.2 + chance.share() * slowestMs,
    ...(requestMsMax === 0 ? {} : { requestMs: (chance: Prng) => chance.share() * requestMsMax }),
  };
}

function drawNetworks(prng: Prng): number {
  return [0, 0, 0, 1, 2][prng.below(5)] ?? 0;
}

export function describeOptions({ sim, level, isDualStack, networks }: SwarmOptions, fleet: SimFleet): string {
  const families = isDualStack ? ", IPv4 and IPv6" : "";
  const mode = networks === 0 ? "" : `, tunnels between ${networks} networks each`;
  const levels = level === null ? "" : `, levels from ${sim.agent?.policyLevel ?? ""} to ${level}`;
  return `${sim.coordination}, ${fleet.nodes.size} nodes, ${fleet.controllers.length} controllers${families}${mode}${levels}`;
}
