/**
 * Who talks to whom. A fleet without a mesh talks to everyone; with one, each node has its own few peers, so that what a
 * fleet costs grows with its nodes and not with their square.
 */
import type { NodeName } from "../../core/node.js";

export interface Mesh {
  /** Symmetric: whoever is a peer of another has that one as its peer. Never the node itself. */
  peersOf(name: NodeName): readonly NodeName[];
}

/**
 * Nodes on a ring, each with the `degree` nearest as its peers, as many on either side; the far ends meet when the ring is
 * as small as that.
 * @param degree even, at least 2
 */
export function ringMesh(names: readonly NodeName[], degree: number): Mesh {
  const places = new Map(names.map((name, place) => [name, place] as const));
  const known = new Map<NodeName, readonly NodeName[]>();
  return {
    peersOf: (name) => {
      const place = places.get(name);
      if (place === undefined) return [];
      const peers = known.get(name) ?? nearest(names, name, place, degree);
      known.set(name, peers);
      return peers;
    },
  };
}

function nearest(names: readonly NodeName[], name: NodeName, place: number, degree: number): readonly NodeName[] {
  const { length } = names;
  const peers = new Set<NodeName>();
  for (let away = 1; away <= degree / 2; away += 1) {
    for (const at of [place + away, place - away + length]) peers.add(names[at % length] ?? name);
  }
  peers.delete(name);
  return [...peers];
}
