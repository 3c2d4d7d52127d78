/** Whether the lab's fleet is at rest, read from what its nodes and its controller say. */
import type { Coordination } from "../options.js";
import type { FleetView } from "./fleet-view.js";

export interface RestQuestion {
  readonly view: FleetView;
  readonly nodes: number;
  readonly coordination: Coordination;
  /** The newest key. */
  readonly keyId: number;
}

/** The fleet is on its newest key and no rotation is under way. */
export function isSteady({ view, nodes, coordination, keyId }: RestQuestion): boolean {
  if (coordination === "barrier") {
    return view.record?.phase === "steady" && view.record.current?.keyId === keyId;
  }
  return everyNode(nodes, (node) => {
    return view.phases[node] === "steady" && view.report(node)?.sendingNewest === keyId;
  });
}

/** And no node holds or sends with anything else, or has anything else in its key file. */
export function isAtRest(question: RestQuestion): boolean {
  const { view, nodes, keyId } = question;
  return (
    isSteady(question) &&
    everyNode(nodes, (node) => {
      const report = view.report(node);
      const sends = report?.sendingOldest === keyId && report.sendingNewest === keyId;
      const holds = report?.holds.map((key) => key.keyId).join();
      return (
        view.phases[node] === "steady" &&
        sends &&
        holds === `${keyId}` &&
        offersOnly(view, node, keyId)
      );
    })
  );
}

/** Every node has read the key file without the old line. */
export function hasDroppedOld({ view, nodes, keyId }: RestQuestion): boolean {
  return everyNode(nodes, (node) => offersOnly(view, node, keyId));
}

function offersOnly(view: FleetView, node: number, keyId: number): boolean {
  const available = view.report(node)?.available ?? [];
  return available.length === 1 && available[0]?.keyId === keyId;
}

function everyNode(nodes: number, isTrue: (node: number) => boolean): boolean {
  return Array.from({ length: nodes }, (_, node) => node).every(isTrue);
}
