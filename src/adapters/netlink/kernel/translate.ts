/**
 * Our SAs as the kernel's, and back, between the node's own addresses and its peers', plain or in UDP; what the kernel cannot
 * express is refused with a code. A policy has no place for a UDP port: where ESP goes in UDP, all nodes of the fleet have
 * the same.
 */
import { modeOf } from "../../../core/node.js";
import type { Direction, Endpoint, Operation, PolicySlot, SaSlot, SaSpec } from "../../../core/sa.js";
import type { Spi } from "../../../core/spi.js";
import type { ListedSa, UdpPorts, XfrmSa, XfrmSaId } from "../codec/model.js";
import { familyOf, localAddress, ownAddress, refuseFamily, unsupported, type LocalNode, type Refusal } from "./local-node.js";
import { refuseAction, refuseNetworks } from "./policy-translation.js";

/** Null when the kernel can run it. */
export function refuse(operation: Operation, local: LocalNode): Refusal | null {
  switch (operation.kind) {
    case "install-sa":
      return refuseSa(operation.sa, local);
    case "delete-sa":
      return refuseRemote(operation.slot.remote, local);
    case "set-policy":
      return refuseAction(operation.policy, local) ?? refuseSlot(operation.policy, local);
    case "delete-policy":
      return refuseSlot(operation.policy, local);
  }
}

function refuseSa({ direction, source, destination, key }: SaSpec, local: LocalNode): Refusal | null {
  const mode = modeOf(local.addresses);
  if (key.mode !== mode) return unsupported(`${key.mode} mode, where this node has ${mode} mode,`);
  const [here, remote] = direction === "in" ? [destination, source] : [source, destination];
  if (here.address !== localAddress(familyOf(here), local)) {
    const message = `the ${direction}bound SA's own end is ${here.address}, which is not this node's`;
    return { code: "DATAPLANE_NOT_LOCAL", message };
  }
  return refuseRemote(remote, local);
}

function refuseSlot(slot: PolicySlot, local: LocalNode): Refusal | null {
  return slot.local === undefined ? refuseRemote(slot.remote, local) : refuseNetworks(slot, local);
}

function refuseRemote(remote: Endpoint, local: LocalNode): Refusal | null {
  const { udpPort } = local.addresses;
  if (remote.udpPort !== udpPort) {
    const [theirs, ours] = [remote.udpPort, udpPort].map((port) => (port === null ? "plain ESP" : `UDP ${port}`));
    return unsupported(`${theirs} towards a peer, where this node has ${ours}`);
  }
  return refuseFamily(remote, local);
}

export function xfrmSaOf({ spi, source, destination, key }: SaSpec, local: LocalNode): XfrmSa {
  return {
    family: familyOf(source),
    source: source.address,
    destination: destination.address,
    spi,
    mode: key.mode,
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
