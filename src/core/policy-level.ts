/**
 * How strict a node is with plain packets between itself and its peers (design 4.1). A fleet goes from
 * plain to encrypted traffic and back through the levels, one at a time and all nodes before the
 * next: neighbouring levels understand each other.
 */
import type { PolicyAction } from "./sa.js";
import type { Spi } from "./spi.js";

/**
 * `accept`: takes both kinds and sends plain. `prefer`: sends encrypted where the pair is covered, and
 * still takes plain. `require`: neither sends nor takes plain packets.
 */
export const policyLevels = ["accept", "prefer", "require"] as const;
export type PolicyLevel = (typeof policyLevels)[number];

/** From a peer. */
export function inboundAction(level: PolicyLevel): PolicyAction {
  return { kind: level === "require" ? "accept" : "accept-any" };
}

/** Towards a peer with which a key is covered, whose SA has this SPI. */
export function coveredAction(level: PolicyLevel, spi: Spi): PolicyAction {
  return level === "accept" ? { kind: "pass" } : { kind: "protect", spi };
}

/** Towards a peer with which no key is covered. */
export function uncoveredAction(level: PolicyLevel): PolicyAction {
  return { kind: level === "require" ? "block" : "pass" };
}
