/** How entries name what of a kernel is theirs. */
import type { RosterEntry } from "../core/node.js";
import { endpointKey } from "../core/sa.js";

export function addressKeys(entry: RosterEntry): readonly string[] {
  const { ipv4, ipv6, udpPort, cidrs = [] } = entry.addresses;
  const addresses = [ipv4, ipv6].filter((address) => address !== null);
  return [...addresses.map((address) => endpointKey({ address, udpPort })), ...cidrs];
}
