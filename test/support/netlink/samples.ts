/** SAs and policies of two nodes, as the kernel tests install them. */
import type {
  Family,
  ListedPolicy,
  ListedSa,
  Mode,
  PolicyDirection,
  UdpPorts,
  XfrmPolicy,
  XfrmSa,
  XfrmSelector,
} from "../../../src/adapters/netlink/codec/model.js";
import { appendDumpPolicies, readPolicy } from "../../../src/adapters/netlink/codec/policy.js";
import { appendDumpSas, readSa } from "../../../src/adapters/netlink/codec/sa.js";
import type { RequestSocket } from "../../../src/adapters/netlink/socket/request-socket.js";

export const reqid = 0x5350_0001;
export const natPorts: UdpPorts = { source: 4_500, destination: 4_500 };

/** Documentation addresses (RFC 5737, RFC 3849). */
export const addresses: Record<Family, readonly [string, string]> = {
  ipv4: ["192.0.2.1", "192.0.2.2"],
  ipv6: ["2001:db8::1", "2001:db8::2"],
};

export const saOf = (family: Family, mode: Mode, changes: Partial<XfrmSa> = {}): XfrmSa => ({
  family,
  source: addresses[family][0],
  destination: addresses[family][1],
  spi: 0x0300_0011,
  mode,
  reqid,
  ifId: null,
  replayWindow: 1_024,
  esn: true,
  encapsulation: null,
  ...changes,
});

/** Bytes 1, 2, 3 and so on: a mistake in order or place shows. */
export const keyOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i + 1);

export function hostSelector(family: Family, source: string, destination: string): XfrmSelector {
  const length = family === "ipv4" ? 32 : 128;
  return {
    family,
    source: { address: source, length },
    destination: { address: destination, length },
    protocol: 0,
    sourcePort: "any",
    destinationPort: "any",
  };
}

/** Needs ESP between the two ends of the SA; outbound it is pinned to its SPI. */
export function protectingPolicy(
  direction: PolicyDirection,
  sa: XfrmSa,
  selector: XfrmSelector,
): XfrmPolicy {
  const { family, source, destination, mode } = sa;
  const spi = direction === "out" ? sa.spi : null;
  return {
    direction,
    selector,
    ifId: null,
    verdict: "allow",
    priority: 1_000,
    templates: [{ family, source, destination, spi, reqid: sa.reqid, mode, optional: false }],
  };
}

/** Every ESP SA. The key bytes are copied, because the socket wipes what it received. */
export async function dumpSas(socket: RequestSocket): Promise<ListedSa[]> {
  const sas: ListedSa[] = [];
  const visit = (payload: Uint8Array): void => {
    const sa = readSa(payload);
    if (sa !== null) sas.push({ ...sa, aead: sa.aead && { ...sa.aead, key: sa.aead.key.slice() } });
  };
  await socket.dump(appendDumpSas, visit, () => (sas.length = 0));
  return sas;
}

export async function dumpPolicies(socket: RequestSocket): Promise<ListedPolicy[]> {
  const policies: ListedPolicy[] = [];
  const visit = (payload: Uint8Array): void => {
    const policy = readPolicy(payload);
    if (policy !== null) policies.push(policy);
  };
  await socket.dump(appendDumpPolicies, visit, () => (policies.length = 0));
  return policies;
}
