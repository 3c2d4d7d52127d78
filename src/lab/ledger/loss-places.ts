/**
 * Where, when and why packets were lost: one entry for each node, reason and rotation, with the
 * first cause if it is known.
 */
import type { RotationWatch } from "../rotation.js";
import type { Ledger } from "./ledger.js";
import type { Loss } from "./losses.js";

export interface LossPlace {
  readonly node: string;
  readonly reason: string;
  readonly packets: number;
  /** Key id of the rotation in which it happened, null before the first. */
  readonly rotationKeyId: number | null;
  /**
   * When the first and the last of them were sent, from the start of the rotation (or of the lost
   * stream).
   */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly worstPair: { readonly from: string; readonly to: string; readonly packets: number };
  /** In one sentence, null when the lab cannot tell. */
  readonly cause: string | null;
}

export function findPlaces(
  losses: readonly Loss[],
  rotations: readonly RotationWatch[],
  ledger: Ledger,
  nameOf: (node: number) => string,
): readonly LossPlace[] {
  const groups = new Map<string, Loss[]>();
  for (const loss of losses) {
    const key = `${ledger.periodOf(loss.sentMs)} ${loss.at} ${loss.reason}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [loss]);
    else group.push(loss);
  }
  const places = [...groups.values()].map((group) => {
    const rotation = rotations[ledger.periodOf(group[0]!.sentMs) - 1];
    return describeGroup(group, rotation, nameOf);
  });
  return places.sort((one, other) => other.packets - one.packets);
}

function describeGroup(
  group: readonly Loss[],
  rotation: RotationWatch | undefined,
  nameOf: (node: number) => string,
): LossPlace {
  const times = group.map(({ sentMs }) => sentMs).sort((one, other) => one - other);
  const startMs = rotation?.startedMs ?? times[0]!;
  const { at, reason } = group[0]!;
  return {
    node: nameOf(at),
    reason,
    packets: group.length,
    rotationKeyId: rotation?.keyId ?? null,
    firstMs: Math.round(times[0]! - startMs),
    lastMs: Math.round(times.at(-1)! - startMs),
    worstPair: worstPairOf(group, nameOf),
    cause: rotation === undefined ? null : causeOf(group, rotation, nameOf),
  };
}

function worstPairOf(
  group: readonly Loss[],
  nameOf: (node: number) => string,
): LossPlace["worstPair"] {
  const counts = new Map<string, { from: number; to: number; packets: number }>();
  for (const { stream } of group) {
    const key = `${stream.sender} ${stream.receiver}`;
    const pair = counts.get(key) ?? { from: stream.sender, to: stream.receiver, packets: 0 };
    counts.set(key, { ...pair, packets: pair.packets + 1 });
  }
  const [worst] = [...counts.values()].sort((one, other) => other.packets - one.packets);
  return { from: nameOf(worst!.from), to: nameOf(worst!.to), packets: worst!.packets };
}

/** Today's order: the node said that it holds the key before it did. */
function causeOf(
  group: readonly Loss[],
  rotation: RotationWatch,
  nameOf: (node: number) => string,
): string | null {
  const { at, reason, keyId } = group[0]!;
  const { advertisedMs, stagedMs } = rotation.nodes[at] ?? {};
  if (reason !== "inbound no_state" || keyId !== rotation.keyId) return null;
  if (advertisedMs === undefined || (stagedMs !== undefined && stagedMs <= advertisedMs))
    return null;
  const when = stagedMs === undefined ? "not until the end" : `only at +${seconds(stagedMs)}`;
  return (
    `${nameOf(at)} advertised key ${keyId} at +${seconds(advertisedMs)} ` +
    `and could receive it ${when}: its peers sent with a key for which it had no inbound SA`
  );
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}
