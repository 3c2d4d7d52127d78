/**
 * Nodes of different modes have no SA and no policy in common (docs/design/0028): one that came back in another mode than its peers'
 * would lose all that it had with them, and they their cover of it. So that is refused before anything in the kernel is touched.
 */
import { modeOf } from "../../core/node.js";
import type { CheckpointNode, DurableState } from "../../core/rotation/durable.js";
import { levelOf } from "../../core/rotation/level.js";
import type { AgentOptions } from "../../core/rotation/state.js";
import { CliError } from "../exit.js";

/** What the agent's documents say; null where one cannot be read, which is told elsewhere. */
export interface Known {
  readonly durable: DurableState | null;
  readonly peers: readonly CheckpointNode[];
}

/** @throws CliError IPSEC_MODE_CHANGED; not at level `off`, where nothing is installed that could be lost */
export function refuseModeChange({ durable, peers }: Known, options: AgentOptions): void {
  const incarnation = durable?.incarnation ?? null;
  if (durable === null || incarnation === null || levelOf(durable, options) === "off") return;
  const [before, now] = [modeOf(incarnation.addresses), modeOf(options.addresses)];
  const others = peers.filter(({ entry }) => modeOf(entry.addresses) === before).length;
  if (before === now || others === 0) return;
  throw new CliError({
    exitCode: 3,
    code: "IPSEC_MODE_CHANGED",
    message: `this node was in ${before} mode, as ${others} of its peers are; with dataplane.ipsecMode ${now} it would reach none of them`,
    hint:
      `set dataplane.ipsecMode back to ${before}; a fleet changes at level off: \`spindle level off --wait\`, then mode and node.cidrs of every node, ` +
      "then `spindle level require`; where the fleet did so while this node was away, remove its state directory",
  });
}
