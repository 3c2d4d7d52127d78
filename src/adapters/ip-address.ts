/**
 * IPv6 addresses in one spelling. Addresses are compared as texts everywhere inside, and the kernel's
 * are read back in canonical form, so whatever comes from outside is brought into it first.
 */
import { isIPv6, SocketAddress } from "node:net";

/** As RFC 5952 has it. Null for what is no address, one with a zone, and IPv4 in IPv6 form. */
export function canonicalIpv6(text: string): string | null {
  if (!isIPv6(text) || text.includes("%")) return null;
  const { address } = new SocketAddress({ address: text, family: "ipv6" });
  return address.includes(".") ? null : address;
}
