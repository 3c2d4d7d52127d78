/**
 * Our policies as the kernel's, and back. Between the addresses themselves (transport mode) each is one; what a peer's
 * network may send to one of ours (tunnel mode) is two: to this host (in) and through it (forward). Outbound policies cover
 * what is forwarded and leaves as well (net/xfrm/xfrm_policy.c, __xfrm_route_forward).
 */
import { modeOf } from "../../../core/node.js";
import { outerOf, policySlotKey, sameAction } from "../../../core/sa.js";
import type { PolicyAction, PolicySlot, PolicySpec, PolicyView } from "../../../core/sa.js";
import type { Spi } from "../../../core/spi.js";
import { formatCidr, parseCidr } from "../../cidr.js";
import type {
  ListedPolicy,
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
}

export function partsOf(slot: PolicySlot): readonly PolicyPart[] {
  const { direction, local } = slot;
  const own = { slot, direction };
  return direction === "in" && local !== undefined ? [own, { slot, direction: "forward" }] : [own];
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
export function refuseNetworks({ local: network, remote }: PolicySlot, local: LocalNode): Refusal | null {
  if (modeOf(local.addresses) !== "tunnel") return unsupported("a policy between networks, where this node has none,");
  if (network === undefined || parseCidr(network) === null || parseCidr(remote.address) === null)
    return unsupported("what is no network in a policy between networks");
  return refuseFamily(remote, local);
}

export function xfrmPolicySlotOf({ slot, direction }: PolicyPart, local: LocalNode): XfrmPolicySlot {
  const [here, there] = endsOf(slot, local);
  const [source, destination] = direction === "out" ? [here, there] : [there, here];
  return { direction, selector: selectorOf(slot, source, destination), ifId: null };
}

function endsOf(slot: PolicySlot, local: LocalNode): readonly [Prefix, Prefix] {
  if (slot.local !== undefined) return [prefixOf(slot.local), prefixOf(slot.remote.address)];
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

function selectorOf(slot: PolicySlot, source: Prefix, destination: Prefix): XfrmSelector {
  return { ...anything(familyOf(slot.remote)), source, destination };
}

export function xfrmPolicyOf(policy: PolicySpec, direction: PolicyDirection, local: LocalNode): XfrmPolicy {
  const slot = xfrmPolicySlotOf({ slot: policy, direction }, local);
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

/** Puts together what the kernel lists in parts. */
export class PolicyReading {
  readonly #local: LocalNode;
  readonly #whole: PolicyView[] = [];
  /** Tunnel mode: inbound policies by slot, as far as they were seen. */
  readonly #halves = new Map<string, PolicyView>();
  readonly #pairs = new Map<string, PolicyView>();

  constructor(local: LocalNode) {
    this.#local = local;
  }

  clear(): void {
    this.#whole.length = 0;
    this.#halves.clear();
    this.#pairs.clear();
  }

  /** @returns false for a policy that no slot names */
  add(policy: ListedPolicy): boolean {
    const view = modeOf(this.#local.addresses) === "tunnel" ? betweenNetworks(policy, this.#local) : betweenHosts(policy, this.#local);
    if (view === null) return false;
    if (view.slot.local === undefined || view.slot.direction === "out") this.#whole.push(view);
    else this.#pair(view);
    return true;
  }

  #pair(view: PolicyView): void {
    const key = policySlotKey(view.slot);
    const half = this.#halves.get(key);
    if (half === undefined) this.#halves.set(key, view);
    else this.#pairs.set(key, sameAction(half.action, view.action) ? view : mismatched(view));
  }

  /** One half without the other takes nothing in that is forwarded, or nothing for this host. */
  done(): readonly PolicyView[] {
    const inbound = [...this.#halves].map(([key, half]) => this.#pairs.get(key) ?? mismatched(half));
    return [...this.#whole, ...inbound];
  }
}

/** As no level wants it, so that it is put right or goes. */
function mismatched({ slot }: PolicyView): PolicyView {
  return { slot, action: { kind: "block" } };
}

function betweenHosts(policy: ListedPolicy, local: LocalNode): PolicyView | null {
  const { direction, selector } = policy;
  const { family, source, destination } = selector;
  const own = localAddress(family, local);
  if (direction === "forward" || policy.templates.some(({ mode }) => mode !== "transport")) return null;
  const [here, remote] = direction === "out" ? [source, destination] : [destination, source];
  const length = family === "ipv4" ? 32 : 128;
  if (here.address !== own || here.length !== length || remote.length !== length) return null;
  const slot = { direction, family, remote: { address: remote.address, udpPort: local.addresses.udpPort } };
  return { slot, action: actionOf(policy) };
}

function betweenNetworks(policy: ListedPolicy, local: LocalNode): PolicyView | null {
  const { direction, selector, templates } = policy;
  const { family, source, destination } = selector;
  const [template] = templates;
  const isOut = direction === "out";
  const own = localAddress(family, local);
  if (template !== undefined) {
    const end = isOut ? template.source : template.destination;
    if (template.mode !== "tunnel" || end !== own) return null;
  }
  const [here, there] = isOut ? [source, destination] : [destination, source];
  const remote = { address: formatCidr(there), udpPort: null };
  const slot: PolicySlot = { direction: isOut ? "out" : "in", family, local: formatCidr(here), remote };
  const action = actionOf(policy);
  if (template === undefined || action.kind === "block" || action.kind === "pass") return { slot, action };
  return { slot, action: { ...action, outer: isOut ? template.destination : template.source } };
}

function actionOf({ verdict, templates }: ListedPolicy): PolicyAction {
  const [template] = templates;
  if (verdict === "block") return { kind: "block" };
  if (template === undefined) return { kind: "pass" };
  if (template.spi !== null) return { kind: "protect", spi: template.spi as Spi };
  return { kind: template.optional ? "accept-any" : "accept" };
}
