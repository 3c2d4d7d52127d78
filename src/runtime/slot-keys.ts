/** How entries name what of a kernel is theirs. */
import type { RosterEntry } from "../core/node.js";
import { endpointKey } from "../core/sa.js";

export function addressKeys(entry: RosterEntry): readonly string[] {
  const { ipv4, ipv6, udpPort } = entry.addresses;
  return [ipv4, ipv6].filter((address) => address !== null).map((address) => endpointKey({ address, udpPort }));
}
