/**
 * Our SAs and policies as the kernel's, and back. Transport mode between the node's own addresses
 * and its peers', plain or in UDP; what this cannot express is refused with a code. A policy has no
 * place for a UDP port: where ESP goes in UDP, all nodes of the fleet have the same.
 */
import type { AddressFamily, NodeAddresses } from "../../../core/node.js";
import type {
  Direction,
  Endpoint,
  Operation,
  PolicyAction,
  PolicySlot,
  PolicySpec,
  PolicyView,
  SaSlot,
  SaSpec,
} from "../../../core/sa.js";
import type { Spi } from "../../../core/spi.js";
import type {
  ListedPolicy,
  ListedSa,
  UdpPorts,
  XfrmPolicy,
  XfrmPolicySlot,
  XfrmSa,
  XfrmSaId,
  XfrmSelector,
} from "../codec/model.js";
import type { Guard } from "./guard.js";
import { peerPriority, type Ownership } from "./ownership.js";

export interface LocalNode {
  readonly addresses: NodeAddresses;
  readonly ownership: Ownership;
  /** Of inbound SAs, in packets. */
  readonly replayWindow: number;
  /** Null where nothing is blocked but towards peers. */
  readonly guard: Guard | null;
}

export interface Refusal {
  readonly code: "DATAPLANE_UNSUPPORTED" | "DATAPLANE_NOT_LOCAL";
  readonly message: string;
}

/** Null when the kernel can run it. */
export function refuse(operation: Operation, local: LocalNode): Refusal | null {
  switch (operation.kind) {
    case "install-sa":
      return refuseSa(operation.sa, local);
    case "delete-sa":
      return refuseRemote(operation.slot.remote, local);
    case "set-policy":
      return refusePolicy(operation.policy, local);
    case "delete-policy":
      return refuseRemote(operation.policy.remote, local);
  }
}

function refuseSa({ direction, source, destination, key }: SaSpec, local: LocalNode): Refusal | null {
  if (key.mode !== "transport") return unsupported("tunnel mode");
  const [here, remote] = direction === "in" ? [destination, source] : [source, destination];
  if (here.address !== localAddress(familyOf(here), local)) {
    const message = `the ${direction}bound SA's own end is ${here.address}, which is not this node's`;
    return { code: "DATAPLANE_NOT_LOCAL", message };
  }
  return refuseRemote(remote, local);
}

/** An inbound policy is not pinned to an SPI. */
function refusePolicy({ direction, action, remote }: PolicySpec, local: LocalNode): Refusal | null {
  const kinds: readonly PolicyAction["kind"][] =
    direction === "out" ? ["protect", "pass", "block"] : ["accept", "accept-any", "block"];
  if (!kinds.includes(action.kind))
    return unsupported(`an ${direction}bound policy "${action.kind}"`);
  return refuseRemote(remote, local);
}

function refuseRemote(remote: Endpoint, local: LocalNode): Refusal | null {
  const { udpPort } = local.addresses;
  if (remote.udpPort !== udpPort) {
    const [theirs, ours] = [remote.udpPort, udpPort].map((port) => (port === null ? "plain ESP" : `UDP ${port}`));
    return unsupported(`${theirs} towards a peer, where this node has ${ours}`);
  }
  const family = familyOf(remote);
  return localAddress(family, local) === null ? unsupported(`${family}, which this node lacks,`) : null;
}

function unsupported(what: string): Refusal {
  const message = `the kernel dataplane does not support ${what} in this version`;
  return { code: "DATAPLANE_UNSUPPORTED", message };
}

function familyOf({ address }: Endpoint): AddressFamily {
  return address.includes(":") ? "ipv6" : "ipv4";
}

function localAddress(family: AddressFamily, { addresses }: LocalNode): string | null {
  return family === "ipv4" ? addresses.ipv4 : addresses.ipv6;
}

/** Of an operation that was not refused. */
function ownAddress(family: AddressFamily, local: LocalNode): string {
  const address = localAddress(family, local);
  if (address === null) throw new RangeError(`this node has no ${family} address`);
  return address;
}

export function xfrmSaOf({ spi, source, destination }: SaSpec, local: LocalNode): XfrmSa {
  return {
    family: familyOf(source),
    source: source.address,
    destination: destination.address,
    spi,
    mode: "transport",
    reqid: local.ownership.reqid,
    ifId: null,
    replayWindow: local.replayWindow,
    esn: true,
    encapsulation: encapsulationOf(source, destination),
  };
}

function encapsulationOf(source: Endpoint, destination: Endpoint): UdpPorts | null {
  if (source.udpPort === null || destination.udpPort === null) return null;
  return { source: source.udpPort, destination: destination.udpPort };
}

export function xfrmSaIdOf({ direction, spi, remote }: SaSlot, local: LocalNode): XfrmSaId {
  const family = familyOf(remote);
  const destination = direction === "in" ? ownAddress(family, local) : remote.address;
  return { family, destination, spi };
}

/** Is this what the slot names? The kernel finds an SA by destination and SPI, the slot names the peer. */
export function isInSlot(sa: ListedSa, { direction, remote }: SaSlot): boolean {
  const { address, udpPort } = remoteOf(sa, direction);
  return address === remote.address && udpPort === remote.udpPort;
}

/** The peer's end. */
function remoteOf({ source, destination, encapsulation }: ListedSa, direction: Direction): Endpoint {
  return direction === "in"
    ? { address: source, udpPort: encapsulation?.source ?? null }
    : { address: destination, udpPort: encapsulation?.destination ?? null };
}

export function xfrmPolicySlotOf(slot: PolicySlot, local: LocalNode): XfrmPolicySlot {
  const family = familyOf(slot.remote);
  const own = ownAddress(family, local);
  const [source, destination] =
    slot.direction === "out" ? [own, slot.remote.address] : [slot.remote.address, own];
  return {
    direction: slot.direction,
    selector: hostSelector(family, source, destination),
    ifId: null,
  };
}

function hostSelector(family: AddressFamily, source: string, destination: string): XfrmSelector {
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

export function xfrmPolicyOf(policy: PolicySpec, local: LocalNode): XfrmPolicy {
  const slot = xfrmPolicySlotOf(policy, local);
  const priority = local.ownership.priority + peerPriority;
  const { action } = policy;
  if (action.kind === "block") return { ...slot, priority, verdict: "block", templates: [] };
  if (action.kind === "pass") return { ...slot, priority, verdict: "allow", templates: [] };
  const { family, source, destination } = slot.selector;
  const template = {
    family,
    source: source.address,
    destination: destination.address,
    spi: action.kind === "protect" ? action.spi : null,
    reqid: local.ownership.reqid,
    mode: "transport",
    optional: action.kind === "accept-any",
  } as const;
  return { ...slot, priority, verdict: "allow", templates: [template] };
}

/** Null for an SA that neither starts nor ends at this node's addresses. */
export function slotOfSa(sa: ListedSa, local: LocalNode): SaSlot | null {
  const own = localAddress(sa.family, local);
  const direction = directionOf(sa.source, sa.destination, own);
  if (direction === null) return null;
  return { direction, spi: sa.spi as Spi, remote: remoteOf(sa, direction) };
}

function directionOf(source: string, destination: string, own: string | null): Direction | null {
  if (destination === own) return "in";
  return source === own ? "out" : null;
}

/** Null for a policy of ours that is not one towards or from a single peer. */
export function viewOfPolicy(policy: ListedPolicy, local: LocalNode): PolicyView | null {
  const { direction, selector } = policy;
  const { family, source, destination } = selector;
  const own = localAddress(family, local);
  if (direction === "forward") return null;
  const [here, remote] = direction === "out" ? [source, destination] : [destination, source];
  const length = family === "ipv4" ? 32 : 128;
  if (here.address !== own || here.length !== length || remote.length !== length) return null;
  const slot = { direction, family, remote: { address: remote.address, udpPort: local.addresses.udpPort } };
  return { slot, action: actionOf(policy) };
}

function actionOf({ verdict, templates }: ListedPolicy): PolicyAction {
  const [template] = templates;
  if (verdict === "block") return { kind: "block" };
  if (template === undefined) return { kind: "pass" };
  if (template.spi !== null) return { kind: "protect", spi: template.spi as Spi };
  return { kind: template.optional ? "accept-any" : "accept" };
}
