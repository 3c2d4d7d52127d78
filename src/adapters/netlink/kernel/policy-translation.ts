/**
 * Our policies as the kernel's; back is `policy-reading.ts`. Between the addresses themselves (transport mode) each is one; what a peer's
 * network may send to one of ours (tunnel mode) is two: to this host (in) and through it (forward). Outbound policies cover
 * what is forwarded and leaves as well (net/xfrm/xfrm_policy.c, __xfrm_route_forward). The path of probes (tunnel mode) is of the
 * addresses, and of the probe port alone: probes that come, and answers both ways.
 */
import { modeOf } from "../../../core/node.js";
import { outerOf } from "../../../core/sa.js";
import type { PolicyAction, PolicySlot, PolicySpec } from "../../../core/sa.js";
import { parseCidr } from "../../cidr.js";
import { protocolUdp } from "../codec/constants.js";
import type {
  PolicyDirection,
  Prefix,
  XfrmPolicy,
  XfrmPolicySlot,
  XfrmSelector,
} from "../codec/model.js";
import { anything } from "./guard.js";
import { familyOf, localAddress, ownAddress, refuseFamily, unsupported, type LocalNode, type Refusal } from "./local-node.js";
import { peerPriority } from "./ownership.js";

/** One of the kernel's policies that a slot stands for. */
export interface PolicyPart {
  readonly slot: PolicySlot;
  readonly direction: PolicyDirection;
  readonly packets: "all" | "probes" | "answers";
}

export function partsOf(slot: PolicySlot): readonly PolicyPart[] {
  const { direction, local } = slot;
  const all = { slot, direction, packets: "all" } as const;
  if (isOfProbes(slot)) {
    const answers = { slot, direction, packets: "answers" } as const;
    return direction === "out" ? [answers] : [{ slot, direction, packets: "probes" }, answers];
  }
  return direction === "in" && local !== undefined ? [all, { ...all, direction: "forward" }] : [all];
}

/** Between the addresses themselves, in tunnel mode. */
function isOfProbes({ local, remote }: PolicySlot): boolean {
  return local !== undefined && !local.includes("/") && !remote.address.includes("/");
}

/** An inbound policy is not pinned to an SPI. */
export function refuseAction({ direction, action, local: network }: PolicySpec, local: LocalNode): Refusal | null {
  const kinds: readonly PolicyAction["kind"][] =
    direction === "out" ? ["protect", "pass", "block"] : ["accept", "accept-any", "block"];
  if (!kinds.includes(action.kind)) return unsupported(`an ${direction}bound policy "${action.kind}"`);
  if (network === undefined && modeOf(local.addresses) === "tunnel")
    return unsupported("a policy between the addresses themselves, where this node has networks,");
  const isTunnel = outerOf(action) !== undefined;
  const isPlain = action.kind === "block" || action.kind === "pass";
  return isPlain || isTunnel === (network !== undefined) ? null : unsupported("a policy of another mode");
}

/** Of a slot between networks. */
export function refuseNetworks(slot: PolicySlot, local: LocalNode): Refusal | null {
  const { local: network, remote } = slot;
  if (modeOf(local.addresses) !== "tunnel") return unsupported("a policy between networks, where this node has none,");
  const isOwn = isOfProbes(slot) && network === localAddress(familyOf(remote), local);
  if (!isOwn && (network === undefined || parseCidr(network) === null || parseCidr(remote.address) === null))
    return unsupported("what is no network in a policy between networks");
  return refuseFamily(remote, local);
}

export function xfrmPolicySlotOf({ slot, direction, packets }: PolicyPart, local: LocalNode): XfrmPolicySlot {
  const [here, there] = endsOf(slot, local);
  const [source, destination] = direction === "out" ? [here, there] : [there, here];
  const selector = { ...anything(familyOf(slot.remote)), source, destination, ...portsOf(packets, local) };
  return { direction, selector, ifId: null };
}

function portsOf(packets: PolicyPart["packets"], { probePort }: LocalNode): Partial<XfrmSelector> {
  if (packets === "all") return {};
  const port = packets === "probes" ? { destinationPort: probePort } : { sourcePort: probePort };
  return { protocol: protocolUdp, ...port };
}

function endsOf(slot: PolicySlot, local: LocalNode): readonly [Prefix, Prefix] {
  if (slot.local !== undefined && !isOfProbes(slot)) return [prefixOf(slot.local), prefixOf(slot.remote.address)];
  const family = familyOf(slot.remote);
  const length = family === "ipv4" ? 32 : 128;
  return [
    { address: ownAddress(family, local), length },
    { address: slot.remote.address, length },
  ];
}

/** Of a slot that was not refused. */
function prefixOf(cidr: string): Prefix {
  const prefix = parseCidr(cidr);
  if (prefix === null) throw new RangeError(`not a network: ${cidr}`);
  return prefix;
}

/** @param part of the policy's own slot */
export function xfrmPolicyOf(policy: PolicySpec, part: PolicyPart, local: LocalNode): XfrmPolicy {
  const { direction } = part;
  const slot = xfrmPolicySlotOf(part, local);
  const priority = local.ownership.priority + peerPriority;
  const { action } = policy;
  if (action.kind === "block") return { ...slot, priority, verdict: "block", templates: [] };
  if (action.kind === "pass") return { ...slot, priority, verdict: "allow", templates: [] };
  const family = familyOf(policy.remote);
  const [here, there] = [ownAddress(family, local), action.outer ?? policy.remote.address];
  const [source, destination] = direction === "out" ? [here, there] : [there, here];
  const template = {
    family,
    source,
    destination,
    spi: action.kind === "protect" ? action.spi : null,
    reqid: local.ownership.reqid,
    mode: modeOf(local.addresses),
    optional: action.kind === "accept-any",
  } as const;
  return { ...slot, priority, verdict: "allow", templates: [template] };
}
