/**
 * A network belongs to one node: one that overlaps another node's is refused, so that nobody's traffic goes astray. The
 * roster cannot change in between unseen, since the caller's transaction compares its ledger.
 */
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
    for (const one of added) {
      const taken = theirs.find((their) => overlap(one, their));
      if (taken !== undefined) throw overlapError(request, one, taken, other);
    }
  }
}

/** Of a record that cannot be read nothing is known; it keeps barriers shut until it is mended. */
function networksOf(item: KvItem): readonly string[] {
  const decoded = decode(rosterRecordSchema, item);
  return decoded.kind === "valid" ? (decoded.value.addresses.cidrs ?? []) : [];
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
