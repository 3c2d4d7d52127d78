/**
 * Identity as in the field (cilium #39720): a node that is deleted and comes back under its name is the node that it was,
 * so its peers make the same SAs for it a second time. Ours allots another index, which makes other SPIs and other keys.
 */
import type { NodeName, RosterEntry } from "../../../core/node.js";
import { succeed } from "../../../core/result.js";
import type { NodeIndex } from "../../../core/spi.js";
import type { WatchEvent } from "../../../ports/registry.js";
import type { AgentPorts } from "../../../runtime/agent-loop.js";

/** For all agents of one fleet. */
export function identityByName(): (name: NodeName, ports: AgentPorts) => AgentPorts {
  const indexes = new Map<NodeName, NodeIndex>();
  const asBefore = (entry: RosterEntry): RosterEntry => {
    const index = indexes.get(entry.name) ?? entry.index;
    indexes.set(entry.name, index);
    return { ...entry, index };
  };
  return (_name, { registry, ...ports }) => ({
    ...ports,
    registry: {
      ...registry,
      register: (request, done) => {
        registry.register(request, (result) => done(result.ok ? succeed(asBefore(result.value)) : result));
      },
      watchRoster: (listener) => registry.watchRoster((event) => listener(withEntries(event, asBefore))),
    },
  });
}

function withEntries(
  event: WatchEvent<RosterEntry>,
  change: (entry: RosterEntry) => RosterEntry,
): WatchEvent<RosterEntry> {
  switch (event.kind) {
    case "listing":
      return { ...event, items: event.items.map(change) };
    case "put":
      return { ...event, item: change(event.item) };
    case "removed":
    case "disconnected":
      return event;
  }
}
