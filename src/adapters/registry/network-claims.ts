/**
 * A network belongs to one node: one that overlaps another node's, or holds its address, is refused, so that nobody's traffic
 * goes astray. The roster cannot change in between unseen, since the caller's transaction compares its ledger.
 */
import type { NodeAddresses } from "../../core/node.js";
import type { RegisterRequest } from "../../ports/registry.js";
import { formatCidr, overlap, parseCidr } from "../cidr.js";
import type { Prefix } from "../netlink/codec/model.js";
import { PortError } from "../port-error.js";
import { rosterKey, rosterPrefix } from "./keys.js";
import type { KvItem, KvTransactions } from "./kv.js";
import { decode } from "./records.js";
import { rosterRecordSchema } from "./schemas.js";

/**
 * Reads the whole roster when a node comes with networks, or with others than it had.
 * @param item the node's own record
 * @throws PortError ROSTER_CIDR_TAKEN
 */
export async function checkNetworks(kv: KvTransactions, request: RegisterRequest, item: KvItem | null): Promise<void> {
  const wanted = request.addresses.cidrs ?? [];
  const had = item === null ? [] : networksOf(item);
  const added = wanted.filter((cidr) => !had.includes(cidr)).map(prefixOf);
  if (added.length === 0) return;
  const { items } = await kv.range(rosterPrefix);
  for (const other of items) {
    if (other.key === rosterKey(request.name)) continue;
    const theirs = networksOf(other).map(prefixOf);
    refuseOverlap(request, added, [...theirs, ...hostsOf(addressesOf(other))], other);
    refuseOverlap(request, hostsOf(request.addresses), theirs, other);
  }
}

function refuseOverlap(request: RegisterRequest, wanted: readonly Prefix[], theirs: readonly Prefix[], other: KvItem): void {
  for (const one of wanted) {
    const taken = theirs.find((their) => overlap(one, their));
    if (taken !== undefined) throw overlapError(request, one, taken, other);
  }
}

function networksOf(item: KvItem): readonly string[] {
  return addressesOf(item)?.cidrs ?? [];
}

/** Of a record that cannot be read nothing is known; it keeps barriers shut until it is mended. */
function addressesOf(item: KvItem): NodeAddresses | null {
  const decoded = decode(rosterRecordSchema, item);
  return decoded.kind === "valid" ? decoded.value.addresses : null;
}

/** A node's addresses as networks of one. */
function hostsOf(addresses: NodeAddresses | null): readonly Prefix[] {
  const { ipv4 = null, ipv6 = null } = addresses ?? {};
  const hosts = [ipv4 === null ? [] : `${ipv4}/32`, ipv6 === null ? [] : `${ipv6}/128`].flat();
  return hosts.map(prefixOf);
}

function prefixOf(cidr: string): Prefix {
  const prefix = parseCidr(cidr);
  if (prefix === null) throw new PortError("REGISTRY_RECORD_INVALID", `${cidr} is not a network`, false);
  return prefix;
}

function overlapError({ name }: RegisterRequest, one: Prefix, taken: Prefix, { key }: KvItem): PortError {
  const [wanted, theirs] = [formatCidr(one), formatCidr(taken)];
  const other = key.slice(rosterPrefix.length);
  const message = `network ${wanted} of node ${name} overlaps ${theirs} of node ${other}`;
  return new PortError("ROSTER_CIDR_TAKEN", message, true);
}
