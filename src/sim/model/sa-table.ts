/**
 * The SAs and policies of one modelled kernel, in one record per remote address: what an operation touches and what a
 * packet meets is found by one look-up. In tunnel mode each pair of networks has a record besides, with its policies. It
 * knows no time, and no packets but those that it is told of.
 */
import type { NodeName } from "../../core/node.js";
import {
  endpointKey,
  sameKeyRef,
  saSlotOf,
  type Endpoint,
  type Operation,
  type PolicySlot,
  type PolicySpec,
  type SaSlot,
  type SaSpec,
} from "../../core/sa.js";
import type { Flow } from "./flow.js";

/** An SA in the kernel. Only packets change it. */
export interface SimSa {
  readonly spec: SaSpec;
  packets: number;
  /** Inbound: the outbound SA whose sequence numbers its anti-replay window has followed so far. */
  follows: SimSa | null;
}

/** Where an SA or a policy belongs: the peer's end and, in tunnel mode, the node's own network. */
export type Place = Pick<PolicySlot, "local" | "remote">;

/** All that a kernel holds for one remote address or pair of networks, and the traffic to and from it. */
export interface Remote {
  readonly address: string;
  /** Of networks: the record with the SAs that their packets go through. Null where they are in this one. */
  carrier: Remote | null;
  /** The records that have this one as their carrier. */
  carries: readonly Remote[];
  /** Replaced, by `concat` and `toSpliced`: a list that grows, or that `filter` or a spread made, keeps room for 17. */
  sas: readonly SimSa[];
  policyOut: PolicySpec | null;
  policyIn: PolicySpec | null;
  flowTo: Flow | null;
  flowFrom: Flow | null;
}

const none: readonly SimSa[] = [];
const nothing: readonly Remote[] = [];

export class SaTable {
  readonly #remotes = new Map<string, Remote>();
  /** What was ever selected outbound, through reboots: packets may have counted with it. */
  readonly #selected = new Map<NodeName, SaSpec[]>();
  /** Every (key, SPI) that was installed outbound again after a policy had selected it: S4 says none. */
  readonly reused: string[] = [];

  find(place: Place): Remote | undefined {
    return this.#remotes.get(placeKey(place));
  }

  /** The record of this place, made when there is none. */
  at(place: Place): Remote {
    const address = placeKey(place);
    const known = this.#remotes.get(address);
    if (known !== undefined) return known;
    const remote: Remote = {
      address,
      carrier: null,
      carries: nothing,
      sas: none,
      policyOut: null,
      policyIn: null,
      flowTo: null,
      flowFrom: null,
    };
    this.#remotes.set(address, remote);
    return remote;
  }

  /** Packets between the networks of `inner` go through the SAs for this address. */
  carry(inner: Remote, address: Endpoint): void {
    const carrier = this.at({ remote: address });
    if (inner.carrier === carrier) return;
    this.#drop(inner);
    inner.carrier = carrier;
    carrier.carries = [...carrier.carries, inner];
  }

  #drop(inner: Remote): void {
    const { carrier } = inner;
    if (carrier === null) return;
    inner.carrier = null;
    carrier.carries = carrier.carries.filter((one) => one !== inner);
    this.tidy(carrier);
  }

  remotes(): IterableIterator<Remote> {
    return this.#remotes.values();
  }

  clear(): void {
    for (const remote of this.#remotes.values()) {
      remote.sas = none;
      remote.policyOut = null;
      remote.policyIn = null;
      this.tidy(remote);
    }
  }

  /** Nothing stays of an address for which there is nothing. */
  tidy(remote: Remote): void {
    const { sas, carries, policyOut, policyIn, flowTo, flowFrom, address } = remote;
    const isHeld = sas.length + carries.length > 0 || policyOut !== null || policyIn !== null;
    if (isHeld || flowTo !== null || flowFrom !== null) return;
    this.#remotes.delete(address);
    this.#drop(remote);
  }

  /** @returns the error's code, null when it was carried out */
  run(remote: Remote, operation: Operation): string | null {
    switch (operation.kind) {
      case "install-sa":
        return this.#install(remote, operation.sa);
      case "delete-sa":
        deleteSa(remote, operation.slot);
        return null;
      case "set-policy":
        this.#setPolicy(remote, operation.policy);
        return null;
      case "delete-policy":
        if (operation.policy.direction === "out") remote.policyOut = null;
        else remote.policyIn = null;
        return null;
    }
  }

  #install(remote: Remote, spec: SaSpec): string | null {
    const before = saIn(remote, spec);
    if (before !== undefined) return sameKeyRef(before.spec.key, spec.key) ? null : "EEXIST";
    remote.sas = remote.sas.concat({ spec, packets: 0, follows: null });
    if (spec.direction === "out" && this.#wasSelected(spec)) this.reused.push(JSON.stringify([spec.key, spec.spi]));
    return null;
  }

  #setPolicy(remote: Remote, policy: PolicySpec): void {
    if (policy.direction === "in") {
      remote.policyIn = policy;
      return;
    }
    remote.policyOut = policy;
    if (policy.action.kind !== "protect") return;
    const { spi, outer } = policy.action;
    const through = outer === undefined ? remote : this.find({ remote: { address: outer, udpPort: null } });
    const sa = through === undefined ? undefined : saIn(through, { direction: "out", spi });
    if (sa === undefined || this.#wasSelected(sa.spec)) return;
    const { name } = sa.spec.key.to;
    this.#selected.set(name, (this.#selected.get(name) ?? []).concat(sa.spec));
  }

  #wasSelected({ spi, key }: SaSpec): boolean {
    return this.#selected.get(key.to.name)?.some((one) => one.spi === spi && sameKeyRef(one.key, key)) === true;
  }
}

function placeKey({ local, remote }: Place): string {
  return local === undefined ? endpointKey(remote) : `${local} ${endpointKey(remote)}`;
}

/** The record with the SAs that packets of this one go through. */
export function carrierOf(remote: Remote): Remote {
  return remote.carrier ?? remote;
}

/** The records whose packets a change of this one concerns. */
export function withCarried(remote: Remote): readonly Remote[] {
  return remote.carries.length === 0 ? [remote] : [remote, ...remote.carries];
}

export function saIn(remote: Remote, { direction, spi }: Pick<SaSlot, "direction" | "spi">): SimSa | undefined {
  for (const sa of remote.sas) if (sa.spec.spi === spi && sa.spec.direction === direction) return sa;
  return undefined;
}

/** @returns was it there? */
export function deleteSa(remote: Remote, slot: SaSlot): boolean {
  const sa = saIn(remote, slot);
  if (sa !== undefined) remote.sas = remote.sas.toSpliced(remote.sas.indexOf(sa), 1);
  return sa !== undefined;
}

export function policyIn(remote: Remote, { direction }: Pick<PolicySlot, "direction">): PolicySpec | null {
  return direction === "out" ? remote.policyOut : remote.policyIn;
}

/** What an operation is about. */
export function placeOf(operation: Operation): Place {
  switch (operation.kind) {
    case "install-sa":
      return saSlotOf(operation.sa);
    case "delete-sa":
      return operation.slot;
    case "set-policy":
    case "delete-policy":
      return operation.policy;
  }
}
