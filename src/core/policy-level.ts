/**
 * How strict a node is with plain packets between itself and its peers (design 4.1). A fleet goes from
 * plain to encrypted traffic and back through the levels, one at a time and all nodes before the
 * next: neighbouring levels understand each other.
 */
import { plainActions, type PolicyAction } from "./sa.js";
import type { Spi } from "./spi.js";

/**
 * From plain to strict. `off`: nothing is installed. `accept`: takes both kinds and sends plain. `prefer`: sends encrypted
 * where the pair is covered, and still takes plain. `require`: neither sends nor takes plain packets.
 */
export const policyLevels = ["off", "accept", "prefer", "require"] as const;
export type PolicyLevel = (typeof policyLevels)[number];

/** From a peer; null for no policy. */
export function inboundAction(level: PolicyLevel): PolicyAction | null {
  if (level === "off") return null;
  return plainActions[level === "require" ? "accept" : "accept-any"];
}

/** Towards a peer with which a key is covered, whose SA has this SPI. */
export function coveredAction(level: PolicyLevel, spi: Spi): PolicyAction {
  return level === "accept" ? plainActions.pass : { kind: "protect", spi };
}

/** Towards a peer with which no key is covered; null for no policy. */
export function uncoveredAction(level: PolicyLevel): PolicyAction | null {
  if (level === "off") return null;
  return plainActions[level === "require" ? "block" : "pass"];
}

export function isBelow(level: PolicyLevel, other: PolicyLevel): boolean {
  return policyLevels.indexOf(level) < policyLevels.indexOf(other);
}

/** The neighbour of `level` on the way to `wanted`; null when it is there. */
export function nextLevel(level: PolicyLevel, wanted: PolicyLevel): PolicyLevel | null {
  if (level === wanted) return null;
  return policyLevels[policyLevels.indexOf(level) + (isBelow(level, wanted) ? 1 : -1)] ?? null;
}
