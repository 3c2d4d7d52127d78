/**
 * A mutant that goes on with its lifetime although its outbound state is gone: it takes the new dataplane for the one that
 * its incarnation is bound to, and forgets what it had sent with. Then the same SAs are installed again, and count from
 * the start (S4).
 */
import type { NodeName } from "../../core/node.js";
import { PersistentMap } from "../../core/persistent-map.js";
import type { CheckpointNode } from "../../core/rotation/durable.js";
import type { Observation } from "../../core/rotation/observation.js";
import type { AgentState } from "../../core/rotation/state.js";
import { stepAgent } from "../../core/rotation/step.js";
import type { StepAgent } from "../../runtime/agent-loop.js";

type Checkpoint = PersistentMap<NodeName, CheckpointNode>;

/** One for each run of an agent: it remembers which stored checkpoint is from before the loss. */
export function ignoresLoss(): StepAgent {
  let outdated: Checkpoint | null = null;
  return (state, observation, nowMs, options) => {
    const isLost = hasLost(state, observation);
    if (isLost) outdated = observation.saved.checkpoint;
    const seen = observation.saved.checkpoint === outdated ? withStoredForgotten(observation) : observation;
    return stepAgent(isLost ? asIfNothing(state, observation) : state, seen, nowMs, options);
  };
}

function hasLost({ durable, tally }: AgentState, { kernel }: Observation): boolean {
  const { incarnation } = durable;
  if (incarnation === null || kernel.identity === null) return false;
  return tally.outboundLost > 0 || incarnation.dataplane.instance !== kernel.identity.instance;
}

function asIfNothing(state: AgentState, { kernel }: Observation): AgentState {
  const { incarnation } = state.durable;
  if (incarnation === null || kernel.identity === null) return state;
  return {
    ...state,
    durable: { ...state.durable, incarnation: { ...incarnation, dataplane: kernel.identity } },
    checkpoint: forgetting(state.checkpoint),
    tally: { ...state.tally, outboundLost: 0 },
  };
}

function withStoredForgotten(observation: Observation): Observation {
  const { saved } = observation;
  return { ...observation, saved: { ...saved, checkpoint: forgetting(saved.checkpoint) }, touched: "all" };
}

function forgetting(checkpoint: Checkpoint): Checkpoint {
  let forgotten: Checkpoint = PersistentMap.empty();
  for (const [name, node] of checkpoint) forgotten = forgotten.set(name, { ...node, sentWith: [] });
  return forgotten;
}
