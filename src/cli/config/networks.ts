/** Networks behind a node: the field of the agent's file, and what in the rest of the file depends on it. */
import { z } from "zod";
import { contains, formatCidr, overlap, parseCidr } from "../../adapters/cidr.js";
import type { Prefix } from "../../adapters/netlink/codec/model.js";
import { limits } from "../../core/limits.js";
import type { DataplaneFields } from "./dataplane.js";
import type { Remark } from "./sections.js";

const words = "a network behind this node, such as 10.1.7.0/24 or fd00:7::/64, without host bits";

export const networkField = z
  .string()
  .transform((text, context) => {
    const prefix = parseCidr(text);
    if (prefix !== null && prefix.length > 0) return prefix;
    context.issues.push({ code: "custom", message: `must be ${words}`, input: text });
    return z.NEVER;
  })
  .describe(words);

export const networksField = z.array(networkField).min(1).max(limits.nodeCidrsMax).optional();

interface NodeFields {
  readonly cidrs?: readonly Prefix[] | undefined;
  readonly addresses: { readonly ipv4?: string | undefined; readonly ipv6?: string | undefined };
}

export function checkNetworks({ cidrs, addresses }: NodeFields, { ipsecMode }: DataplaneFields): readonly Remark[] {
  if (ipsecMode !== "tunnel") {
    const message = "goes with dataplane.ipsecMode tunnel: in transport mode the traffic between the nodes' addresses is protected";
    return cidrs === undefined ? [] : [{ path: ["node", "cidrs"], message }];
  }
  if (cidrs === undefined) {
    return [{ path: ["node"], message: "needs cidrs: in tunnel mode the traffic between the nodes' networks is protected" }];
  }
  return cidrs.flatMap((cidr, place) => {
    const message = faultOf(cidr, cidrs.slice(0, place), addresses);
    return message === null ? [] : [{ path: ["node", "cidrs", place], message }];
  });
}

function faultOf(cidr: Prefix, before: readonly Prefix[], { ipv4, ipv6 }: NodeFields["addresses"]): string | null {
  const twin = before.find((one) => overlap(one, cidr));
  if (twin !== undefined) return `overlaps ${formatCidr(twin)}, which stands before it`;
  const [family, own] = cidr.address.includes(":") ? (["ipv6", ipv6] as const) : (["ipv4", ipv4] as const);
  if (own === undefined) return `needs node.addresses.${family}: a tunnel carries the family of its ends`;
  return contains(cidr, own) ? `holds ${own}, between which and the peers' addresses the tunnels are` : null;
}

/** Sorted, so that another order in the file is no other set. */
export function toNetworks(cidrs: readonly Prefix[]): readonly string[] {
  return cidrs.map(formatCidr).sort();
}
