/**
 * The SAs and policies of one modelled kernel, in one record per remote address: what an operation touches and what a
 * packet meets is found by one look-up. It knows no time, and no packets but those that it is told of.
 */
import type { NodeName } from "../../core/node.js";
import {
  endpointKey,
  sameKeyRef,
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

/** All that a kernel holds for one remote address, and the traffic to and from it. */
export interface Remote {
  readonly address: string;
  /** Replaced, by `concat` and `toSpliced`: a list that grows, or that `filter` or a spread made, keeps room for 17. */
  sas: readonly SimSa[];
  policyOut: PolicySpec | null;
  policyIn: PolicySpec | null;
  flowTo: Flow | null;
  flowFrom: Flow | null;
}

const none: readonly SimSa[] = [];

export class SaTable {
  readonly #remotes = new Map<string, Remote>();
  /** What was ever selected outbound, through reboots: packets may have counted with it. */
  readonly #selected = new Map<NodeName, SaSpec[]>();
  /** Every (key, SPI) that was installed outbound again after a policy had selected it: S4 says none. */
  readonly reused: string[] = [];

  find(endpoint: Endpoint): Remote | undefined {
    return this.#remotes.get(endpointKey(endpoint));
  }

  /** The record of this address, made when there is none. */
  at(endpoint: Endpoint): Remote {
    const address = endpointKey(endpoint);
    const known = this.#remotes.get(address);
    if (known !== undefined) return known;
    const remote: Remote = { address, sas: none, policyOut: null, policyIn: null, flowTo: null, flowFrom: null };
    this.#remotes.set(address, remote);
    return remote;
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
    const { sas, policyOut, policyIn, flowTo, flowFrom, address } = remote;
    const isEmpty = sas.length === 0 && policyOut === null && policyIn === null && flowTo === null && flowFrom === null;
    if (isEmpty) this.#remotes.delete(address);
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
    const sa = saIn(remote, { direction: "out", spi: policy.action.spi });
    if (sa === undefined || this.#wasSelected(sa.spec)) return;
    const { name } = sa.spec.key.to;
    this.#selected.set(name, (this.#selected.get(name) ?? []).concat(sa.spec));
  }

  #wasSelected({ spi, key }: SaSpec): boolean {
    return this.#selected.get(key.to.name)?.some((one) => one.spi === spi && sameKeyRef(one.key, key)) === true;
  }
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

/** The peer's end that an operation is about. */
export function remoteOf(operation: Operation): Endpoint {
  switch (operation.kind) {
    case "install-sa":
      return operation.sa.direction === "in" ? operation.sa.source : operation.sa.destination;
    case "delete-sa":
      return operation.slot.remote;
    case "set-policy":
    case "delete-policy":
      return operation.policy.remote;
  }
}
