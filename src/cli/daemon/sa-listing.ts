/** The SAs of a running agent, peer by peer, as its last dump showed them. It asks the kernel nothing. */
import type { NodeName, RosterEntry } from "../../core/node.js";
import type { HeldSa } from "../../core/rotation/held.js";
import { sequenceShare } from "../../core/sa.js";
import { formatSpi, keyIdOf } from "../../core/spi.js";
import type { SaDetail, SaListing, UnknownPeers } from "../../http/status.js";
import type { AgentView } from "../../runtime/agent-loop.js";

/** @param asked names or addresses, null for all @returns null before the documents are loaded */
export function listSas(
  view: AgentView | null,
  node: string,
  asked: readonly string[] | null,
  nowMs: number,
): SaListing | UnknownPeers | null {
  if (view === null) return null;
  const { roster, kernel } = view.world;
  const names = asked?.map((one) => nameOf(roster.entries, one)) ?? [...kernel.peers.keys()].sort();
  const unknown = names.filter((name) => name === node || !(roster.entries.has(name) || kernel.peers.has(name)));
  if (asked !== null && unknown.length > 0) return { unknown };
  const dumpedForMs = kernel.dumpSerial === 0 ? null : Math.max(0, Math.round(nowMs - kernel.dumpedAtMs));
  const sas = names.flatMap((name) => (kernel.peers.get(name)?.sas ?? []).map((sa) => detail(name, sa, nowMs)));
  return { schemaVersion: 1, node, dumpedForMs, sas };
}

/** The name of a node, or of the node at an address; what is neither stays as it is. */
export function nameOf(known: ReadonlyMap<NodeName, RosterEntry>, asked: string): NodeName {
  const name = asked as NodeName;
  if (known.has(name)) return name;
  const found = [...known.values()].find(({ addresses: { ipv4, ipv6 } }) => asked === ipv4 || asked === ipv6);
  return found?.name ?? name;
}

function detail(peer: NodeName, { direction, spi, remote, packets, sequence, use }: HeldSa, nowMs: number): SaDetail {
  const usedAtMs = use?.usedAtMs ?? null;
  return {
    peer: peer === "" ? "(unknown)" : peer,
    direction,
    keyId: keyIdOf(spi),
    spi: formatSpi(spi),
    remote: remote.address,
    packets,
    bytes: use?.octets ?? null,
    idleMs: usedAtMs === null ? null : Math.max(0, Math.round(nowMs - usedAtMs)),
    sequence,
    esn: use?.esn ?? null,
    sequenceShare: use === null ? null : sequenceShare(sequence, use.esn),
  };
}
