/**
 * A kernel as a value: its SAs and policies, what an apply and a dump make of it, and the packet path. An apply can stop
 * after any stage, as it does when the agent dies. No operation fails but for an SA in the way.
 */
import type { IncarnationId } from "../core/node.js";
import {
  operationSlotKey,
  policySlotKey,
  policySlotOf,
  sameKeyRef,
  saSlotKey,
  saSlotOf,
  type Endpoint,
  type Operation,
  type PolicySpec,
  type SaSpec,
  type SaView,
} from "../core/sa.js";
import type { Spi } from "../core/spi.js";
import type { ApplyOutcome, DataplaneIdentity, KernelDump, Recognise } from "../ports/kernel.js";

export interface ModelKernel {
  readonly identity: DataplaneIdentity;
  readonly sas: readonly SaSpec[];
  readonly policies: readonly PolicySpec[];
  /** Every SA that was ever installed outbound here: the key is named by its id and both incarnations. */
  readonly sent: readonly SentSa[];
  /** Installed outbound a second time (S4). */
  readonly reused: SentSa | null;
}

export interface SentSa {
  readonly spi: Spi;
  readonly from: IncarnationId;
  readonly to: IncarnationId;
}

export const newKernel: ModelKernel = {
  identity: { bootId: "boot-0", networkNamespace: "net", instance: "instance-0" },
  sas: [],
  policies: [],
  sent: [],
  reused: null,
};

/** All state is lost; what was installed before stays known, for S4. */
export function rebooted(kernel: ModelKernel, isHost: boolean): ModelKernel {
  const { bootId, networkNamespace, instance } = kernel.identity;
  return {
    ...newKernel,
    sent: kernel.sent,
    identity: { bootId: isHost ? following(bootId) : bootId, networkNamespace, instance: following(instance) },
  };
}

/** All SAs and policies are gone, in the same life. */
export function flushed(kernel: ModelKernel): ModelKernel {
  return { ...kernel, sas: [], policies: [] };
}

function following(numbered: string): string {
  const [word = "", number = "0"] = numbered.split("-");
  return `${word}-${Number(number) + 1}`;
}

export function applyStages(kernel: ModelKernel, stages: readonly (readonly Operation[])[]): ModelKernel {
  return stages.flat().reduce(applyOne, kernel);
}

function applyOne(kernel: ModelKernel, operation: Operation): ModelKernel {
  switch (operation.kind) {
    case "install-sa":
      return install(kernel, operation.sa);
    case "delete-sa": {
      const slot = saSlotKey(operation.slot);
      return { ...kernel, sas: kernel.sas.filter((sa) => saSlotKey(saSlotOf(sa)) !== slot) };
    }
    case "set-policy": {
      const slot = policySlotKey(policySlotOf(operation.policy));
      return { ...kernel, policies: [...withoutPolicy(kernel, slot), operation.policy] };
    }
    case "delete-policy":
      return { ...kernel, policies: withoutPolicy(kernel, policySlotKey(operation.policy)) };
  }
}

function install(kernel: ModelKernel, spec: SaSpec): ModelKernel {
  const slot = saSlotKey(saSlotOf(spec));
  if (kernel.sas.some((sa) => saSlotKey(saSlotOf(sa)) === slot)) return kernel;
  const sas = [...kernel.sas, spec];
  if (spec.direction === "in") return { ...kernel, sas };
  const pair: SentSa = { spi: spec.spi, from: spec.key.from.incarnationId, to: spec.key.to.incarnationId };
  const isReused = kernel.sent.some((sa) => sa.spi === pair.spi && sa.from === pair.from && sa.to === pair.to);
  return isReused ? { ...kernel, sas, reused: pair } : { ...kernel, sas, sent: [...kernel.sent, pair] };
}

function withoutPolicy(kernel: ModelKernel, slot: string): readonly PolicySpec[] {
  return kernel.policies.filter((policy) => policySlotKey(policySlotOf(policy)) !== slot);
}

/** What is in the slots that the operations touched. */
export function readBack(
  kernel: ModelKernel,
  operations: readonly Operation[],
  recognise: Recognise,
): ApplyOutcome {
  const slots = new Set(operations.map(operationSlotKey));
  const sas = kernel.sas.filter((sa) => slots.has(saSlotKey(saSlotOf(sa))));
  const policies = kernel.policies.filter((policy) => slots.has(policySlotKey(policySlotOf(policy))));
  return { sas: sas.map((sa) => viewOf(sa, recognise)), policies: policies.map(policyView), failed: [] };
}

export function dumpOf(kernel: ModelKernel, recognise: Recognise): KernelDump {
  return {
    identity: kernel.identity,
    sas: kernel.sas.map((sa) => viewOf(sa, recognise)),
    policies: kernel.policies.map(policyView),
    counters: {},
  };
}

/** Packets are not counted: a drain sees idle SAs, whoever still sends. */
function viewOf(sa: SaSpec, recognise: Recognise): SaView {
  const slot = saSlotOf(sa);
  const key = recognise(slot);
  const bytes = key !== null && sameKeyRef(key, sa.key) ? "match" : "mismatch";
  return { slot, key, bytes, packets: 0, sequence: 0 };
}

function policyView(policy: PolicySpec): KernelDump["policies"][number] {
  return { slot: policySlotOf(policy), action: policy.action };
}

/** The SA that encrypts packets to `remote`; null when a policy keeps them back; "none" when the policy's SA is gone. */
export function selectedTo(kernel: ModelKernel, remote: Endpoint): SaSpec | "none" | null {
  const policy = policyAt(kernel, "out", remote);
  if (policy?.action.kind !== "protect") return null;
  const wanted = saSlotKey({ direction: "out", spi: policy.action.spi, remote });
  return kernel.sas.find((sa) => saSlotKey(saSlotOf(sa)) === wanted) ?? "none";
}

/** Do packets to `remote` go plain? Where nothing guards the nodes' networks, also for want of a policy. */
export function sendsPlain(kernel: ModelKernel, remote: Endpoint): boolean {
  const action = policyAt(kernel, "out", remote)?.action.kind;
  return action === undefined || action === "pass";
}

export function takesPlain(kernel: ModelKernel, remote: Endpoint): boolean {
  const action = policyAt(kernel, "in", remote)?.action.kind;
  return action === undefined || action === "accept-any";
}

function policyAt({ policies }: ModelKernel, direction: "in" | "out", remote: Endpoint): PolicySpec | undefined {
  const slot = policySlotKey({ direction, family: "ipv4", remote });
  return policies.find((one) => policySlotKey(policySlotOf(one)) === slot);
}

/** Does a packet that `sent` encrypted pass here? `remote` is where it came from. */
export function accepts(kernel: ModelKernel, sent: SaSpec, remote: Endpoint): boolean {
  const slot = saSlotKey({ direction: "in", spi: sent.spi, remote });
  const found = kernel.sas.find((sa) => saSlotKey(saSlotOf(sa)) === slot);
  if (found === undefined || !sameKeyRef(found.key, sent.key)) return false;
  return policyAt(kernel, "in", remote) !== undefined;
}
