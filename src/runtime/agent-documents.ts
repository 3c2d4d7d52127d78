/** The two documents of an agent as text. They hold no secret. A document of another schema version is not guessed at. */
import type { NodeName } from "../core/node.js";
import { PersistentMap } from "../core/persistent-map.js";
import { fail, succeed, type Result } from "../core/result.js";
import { noDurableState, type CheckpointNode, type DurableState } from "../core/rotation/durable.js";

export const stateDocument = "state.json";
export const checkpointDocument = "nodes.json";

type Checkpoint = PersistentMap<NodeName, CheckpointNode>;

export function formatDurable(durable: DurableState): string {
  return JSON.stringify(durable);
}

/** The checksum around the text (storage) proves that we wrote it; only the version is left to check. */
export function parseDurable(text: string | null): Result<DurableState, string> {
  if (text === null) return succeed(noDurableState);
  const parsed = JSON.parse(text) as { schemaVersion?: unknown };
  if (parsed.schemaVersion !== 1) return fail(`${stateDocument} has schema version ${String(parsed.schemaVersion)}`);
  return succeed({ ...noDurableState, ...(parsed as Partial<DurableState>) });
}

export function formatCheckpoint(checkpoint: Checkpoint): string {
  return JSON.stringify({ schemaVersion: 1, nodes: [...checkpoint].map(([, node]) => node) });
}

export function parseCheckpoint(text: string | null): Result<Checkpoint, string> {
  if (text === null) return succeed(PersistentMap.empty());
  const parsed = JSON.parse(text) as { schemaVersion?: unknown; nodes?: readonly CheckpointNode[] };
  if (parsed.schemaVersion !== 1) {
    return fail(`${checkpointDocument} has schema version ${String(parsed.schemaVersion)}`);
  }
  const nodes = parsed.nodes ?? [];
  return succeed(PersistentMap.from(nodes.map((node) => [node.entry.name, node] as const)));
}

/** Of the nodes that this one had when it last ran. */
export function newestRevision(checkpoint: PersistentMap<NodeName, CheckpointNode>): number {
  let newest = 0;
  for (const [, { entry }] of checkpoint) newest = Math.max(newest, entry.revision);
  return newest;
}
