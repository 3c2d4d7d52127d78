/** What others and we have in the kernel's SAD and SPD, as far as it is of interest to a diagnosis. */
import type { ListedPolicy, ListedSa, Prefix } from "../../adapters/netlink/codec/model.js";
import { appendDumpPolicies, readPolicy } from "../../adapters/netlink/codec/policy.js";
import { appendDumpSas, readSa } from "../../adapters/netlink/codec/sa.js";
import { isOfCilium } from "../../adapters/netlink/kernel/other-ipsec.js";
import { isOwnPolicy, isOwnSa, type Ownership } from "../../adapters/netlink/kernel/ownership.js";
import type { RequestSocket } from "../../adapters/netlink/socket/request-socket.js";
import { sequenceShare } from "../../core/sa.js";
import { formatSpi, type Spi } from "../../core/spi.js";
import { contains } from "../../adapters/cidr.js";
import type { Tables } from "./facts.js";

interface Counts {
  foreignSas: number;
  ciliumSas: number;
  sent: number;
  received: number;
  hasPeer: boolean;
  highest: Tables["highest"];
}

/** @throws PortError */
export async function readTables(
  socket: RequestSocket,
  ownership: Ownership,
  peer: string | null,
): Promise<Tables> {
  let counts = noCounts();
  const policies: ListedPolicy[] = [];
  const addSa = (payload: Uint8Array): void => {
    const sa = readSa(payload);
    if (sa !== null) countSa(counts, sa, ownership, peer);
  };
  const addPolicy = (payload: Uint8Array): void => {
    const policy = readPolicy(payload);
    if (policy !== null && !isOwnPolicy(policy, ownership)) policies.push(policy);
  };
  await socket.dump(appendDumpSas, addSa, () => (counts = noCounts()));
  await socket.dump(appendDumpPolicies, addPolicy, () => (policies.length = 0));
  const { sent, received, hasPeer, foreignSas, ciliumSas, highest } = counts;
  return {
    foreignSas,
    ciliumSas,
    highest,
    foreignPolicies: policies.length,
    covering: peer === null ? [] : policies.filter((policy) => covers(policy, peer, ownership)).map(describe),
    peerPackets: hasPeer ? { sent, received } : null,
  };
}

function noCounts(): Counts {
  return { foreignSas: 0, ciliumSas: 0, sent: 0, received: 0, hasPeer: false, highest: null };
}

function countSa(counts: Counts, sa: ListedSa, ownership: Ownership, peer: string | null): void {
  if (!isOwnSa(sa, ownership)) {
    counts.foreignSas += 1;
    if (isOfCilium(sa)) counts.ciliumSas += 1;
    return;
  }
  const { esn } = sa;
  const sequence = Math.max(sa.sentSequence, sa.receivedSequence);
  // With ESN a far higher number is a far smaller share.
  if (counts.highest === null || sequenceShare(sequence, esn) > sequenceShare(counts.highest.sequence, counts.highest.esn))
    counts.highest = { spi: formatSpi(sa.spi as Spi), sequence, esn };
  if (sa.destination === peer) counts.sent += sa.packets;
  if (sa.source === peer) counts.received += sa.packets;
  if (sa.destination === peer || sa.source === peer) counts.hasPeer = true;
}

/** Would it be looked at before ours? A policy for single ports or a mark is no one's default for all traffic. */
function covers(policy: ListedPolicy, peer: string, { priority }: Ownership): boolean {
  const { selector, direction } = policy;
  if (policy.priority >= priority || policy.hasMark || policy.ifId !== null || direction === "forward") return false;
  if (selector.protocol !== 0) return false;
  return contains(direction === "out" ? selector.destination : selector.source, peer);
}

function describe({ direction, selector, priority }: ListedPolicy): string {
  return `policy ${direction} ${format(selector.source)} to ${format(selector.destination)}, priority ${priority},`;
}

function format({ address, length }: Prefix): string {
  return `${address}/${length}`;
}
