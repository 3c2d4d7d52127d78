/** Our policies as the kernel lists them, put together to what a plan knows: the way back of `policy-translation.ts`. */
import { modeOf } from "../../../core/node.js";
import { policySlotKey, sameAction, type PolicyAction, type PolicySlot, type PolicyView } from "../../../core/sa.js";
import type { Spi } from "../../../core/spi.js";
import { formatCidr } from "../../cidr.js";
import type { ListedPolicy } from "../codec/model.js";
import { slotTextOf } from "../codec/policy.js";
import { localAddress, type LocalNode } from "./local-node.js";
import { partsOf, xfrmPolicySlotOf } from "./policy-translation.js";

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
    const view = modeOf(this.#local.addresses) === "tunnel" ? throughTunnel(policy, this.#local) : betweenHosts(policy, this.#local);
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
  const { family, source, destination, protocol } = selector;
  const own = localAddress(family, local);
  if (direction === "forward" || protocol !== 0 || policy.templates.some(({ mode }) => mode !== "transport")) return null;
  const [here, remote] = direction === "out" ? [source, destination] : [destination, source];
  const length = family === "ipv4" ? 32 : 128;
  if (here.address !== own || here.length !== length || remote.length !== length) return null;
  const slot = { direction, family, remote: { address: remote.address, udpPort: local.addresses.udpPort } };
  return { slot, action: actionOf(policy) };
}

function throughTunnel(policy: ListedPolicy, local: LocalNode): PolicyView | null {
  const { direction, selector, templates } = policy;
  const [template] = templates;
  const isOut = direction === "out";
  if (template !== undefined) {
    const end = isOut ? template.source : template.destination;
    if (template.mode !== "tunnel" || end !== localAddress(selector.family, local)) return null;
  }
  const slot = selector.protocol === 0 ? slotBetweenNetworks(policy) : slotOfProbes(policy, local);
  if (slot === null) return null;
  const action = actionOf(policy);
  if (template === undefined || action.kind === "block" || action.kind === "pass") return { slot, action };
  return { slot, action: { ...action, outer: isOut ? template.destination : template.source } };
}

function slotBetweenNetworks({ direction, selector: { family, source, destination } }: ListedPolicy): PolicySlot {
  const isOut = direction === "out";
  const [here, there] = isOut ? [source, destination] : [destination, source];
  return { direction: isOut ? "out" : "in", family, local: formatCidr(here), remote: { address: formatCidr(there), udpPort: null } };
}

/** Null for one that no part of such a slot is. */
function slotOfProbes(policy: ListedPolicy, local: LocalNode): PolicySlot | null {
  const { direction, selector } = policy;
  if (direction === "forward") return null;
  const { family, source, destination } = selector;
  const [here, there] = direction === "out" ? [source, destination] : [destination, source];
  const own = localAddress(family, local);
  if (own === null || here.address !== own) return null;
  const slot = { direction, family, local: own, remote: { address: there.address, udpPort: local.addresses.udpPort } };
  const text = slotTextOf(policy);
  const isPart = partsOf(slot).some((part) => slotTextOf(xfrmPolicySlotOf(part, local)) === text);
  return isPart ? slot : null;
}

function actionOf({ verdict, templates }: ListedPolicy): PolicyAction {
  const [template] = templates;
  if (verdict === "block") return { kind: "block" };
  if (template === undefined) return { kind: "pass" };
  if (template.spi !== null) return { kind: "protect", spi: template.spi as Spi };
  return { kind: template.optional ? "accept-any" : "accept" };
}
