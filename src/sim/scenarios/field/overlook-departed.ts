/**
 * A start as in the field before node checkpoints (cilium #26298, #29822): the agent knows the nodes that are there now,
 * brings their state up to date, and never looks at what stands in the kernel for anybody else. What has the right
 * address and SPI is taken for right: key bytes are not compared.
 */
import type { NodeName } from "../../../core/node.js";
import { PersistentMap } from "../../../core/persistent-map.js";
import type { Observation, PeerKernel } from "../../../core/rotation/observation.js";
import type { StepAgent } from "../../../runtime/agent-loop.js";

/** From the moment that the agent has settled who it is itself. */
export function overlookDeparted(inner: StepAgent): StepAgent {
  return (state, observation, nowMs, options) => {
    if (!state.started) return inner(state, observation, nowMs, options);
    const { entries, complete } = observation.roster;
    if (!complete) return inner(state, observation, nowMs, options);
    const known = [...state.checkpoint].filter(([name]) => entries.has(name));
    const isForgotten = known.length < state.checkpoint.size;
    const checkpoint = isForgotten ? PersistentMap.from(known) : state.checkpoint;
    return inner({ ...state, checkpoint }, withoutDeparted(observation), nowMs, options);
  };
}

function withoutDeparted(observation: Observation): Observation {
  const peers = new Map<NodeName, PeerKernel>();
  for (const [name, { sas, policies }] of observation.kernel.peers) {
    if (!observation.roster.entries.has(name)) continue;
    peers.set(name, { sas: sas.map((sa) => ({ ...sa, isIntact: true })), policies });
  }
  return { ...observation, kernel: { ...observation.kernel, peers } };
}
