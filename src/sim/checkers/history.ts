/**
 * What happened to each node's kernel and what each node said, as seen at the ports of its agents: enough to name the
 * first cause of a violation. It observes below any mutant, so it records what was done and not what was meant. Bounded:
 * one record per SA slot, the oldest of those that are gone are forgotten first.
 */
import type { KeyId } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import {
  saSlotKey,
  saSlotOf,
  sameKeyRef,
  type Operation,
  type PolicySpec,
  type SaSlot,
  type SaSpec,
} from "../../core/sa.js";
import type { Spi } from "../../core/spi.js";
import type { FailedOperation } from "../../ports/kernel.js";
import type { AgentPorts } from "../../runtime/agent-loop.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import { SimFleet } from "../fleet.js";
import type { SimOptions } from "../options.js";

/** One SA in one kernel: since when, and until when if it is gone. */
export interface SaLife {
  readonly spec: SaSpec;
  readonly installedMs: number;
  deletedMs: number | null;
}

/** What an outbound policy to one address selects. */
export interface Selection {
  readonly peer: NodeName;
  readonly action: PolicySpec["action"]["kind"];
  /** Null unless it protects. */
  readonly spi: Spi | null;
  readonly sinceMs: number;
}

/** Called when a kernel has carried an operation out; what was there before is still in the history. */
export type Observe = (name: NodeName, operation: Operation, atMs: number) => void;

/** A fleet, and the history of its agents from their first breath. */
export function watchedFleet(options: SimOptions): { readonly fleet: SimFleet; readonly history: History } {
  const history = new History();
  const fleet = new SimFleet(history.around(options));
  history.begin(fleet.time);
  return { fleet, history };
}

const livesMax = 4_096;

class NodeHistory {
  readonly sas = new Map<string, SaLife>();
  /** By remote address, outbound. */
  readonly selections = new Map<string, Selection>();
  /** When each outbound SPI was last deselected, by remote address and SPI. */
  readonly deselectedMs = new Map<string, number>();
  /** When its reports first claimed each key, by key id. */
  readonly advertisedMs = new Map<KeyId, number>();
}

export class History {
  readonly #nodes = new Map<NodeName, NodeHistory>();
  readonly #observers: Observe[] = [];
  #time: Pick<VirtualTime, "nowMs"> = { nowMs: 0 };

  /** Nothing of a node is seen before. */
  begin(time: VirtualTime): void {
    this.#time = time;
  }

  /** The same options, with this history at the ports of every agent. */
  around(options: SimOptions): SimOptions {
    const wrap = options.wrapAgentPorts ?? ((_name, ports) => ports);
    return { ...options, wrapAgentPorts: (name, ports) => wrap(name, this.#observed(name, ports)) };
  }

  observe(observer: Observe): void {
    this.#observers.push(observer);
  }

  /** The life of the inbound SA that `to` has, or last had, for packets of key `keyId` from `from`. */
  inbound(to: NodeName, from: NodeName, keyId: number): SaLife | null {
    let last: SaLife | null = null;
    for (const life of this.#nodes.get(to)?.sas.values() ?? []) {
      const { direction, key } = life.spec;
      if (direction !== "in" || key.from.name !== from || key.keyId !== keyId) continue;
      if (last === null || life.installedMs >= last.installedMs) last = life;
    }
    return last;
  }

  life(name: NodeName, slot: SaSlot): SaLife | null {
    return this.#nodes.get(name)?.sas.get(saSlotKey(slot)) ?? null;
  }

  selection(name: NodeName, address: string): Selection | null {
    return this.#nodes.get(name)?.selections.get(address) ?? null;
  }

  /** When `name` last stopped sending to `address` with `spi`, null when it never had. */
  deselectedMs(name: NodeName, address: string, spi: Spi): number | null {
    return this.#nodes.get(name)?.deselectedMs.get(`${address} ${spi}`) ?? null;
  }

  advertisedMs(name: NodeName, keyId: number): number | null {
    return this.#nodes.get(name)?.advertisedMs.get(keyId as KeyId) ?? null;
  }

  #observed(name: NodeName, ports: AgentPorts): AgentPorts {
    const { kernel, registry } = ports;
    return {
      ...ports,
      kernel: {
        ...kernel,
        apply: (stages, recognise, done) =>
          kernel.apply(stages, recognise, (outcome) => {
            if (outcome.ok) this.#applied(name, stages, outcome.value.failed);
            done(outcome);
          }),
      },
      registry: {
        ...registry,
        publishReport: (report, done) => {
          this.#advertised(name, report);
          registry.publishReport(report, done);
        },
      },
    };
  }
  #advertised(name: NodeName, report: Report): void {
    const { advertisedMs } = this.#node(name);
    for (const { keyId } of report.holds) if (!advertisedMs.has(keyId)) advertisedMs.set(keyId, this.#time.nowMs);
  }

  /** A stage after one that failed did not run. */
  #applied(name: NodeName, stages: readonly (readonly Operation[])[], failed: readonly FailedOperation[]): void {
    const hasFailed = new Set(failed.map(({ operation }) => operation));
    for (const stage of stages) {
      for (const operation of stage) if (!hasFailed.has(operation)) this.#ran(name, operation);
      if (stage.some((operation) => hasFailed.has(operation))) return;
    }
  }

  #ran(name: NodeName, operation: Operation): void {
    for (const observe of this.#observers) observe(name, operation, this.#time.nowMs);
    const node = this.#node(name);
    switch (operation.kind) {
      case "install-sa":
        return this.#installed(node, operation.sa);
      case "delete-sa":
        return this.#deleted(node, operation.slot);
      case "set-policy":
        return this.#selected(node, operation.policy);
      case "delete-policy":
        if (operation.policy.direction === "out") this.#deselected(node, operation.policy.remote.address);
        return;
    }
  }

  #installed({ sas, deselectedMs }: NodeHistory, spec: SaSpec): void {
    const slot = saSlotKey(saSlotOf(spec));
    const before = sas.get(slot);
    if (before?.deletedMs === null && sameKeyRef(before.spec.key, spec.key)) return;
    // What was sent with the SPI so far was sent with another key.
    if (spec.direction === "out") deselectedMs.delete(`${spec.destination.address} ${spec.spi}`);
    sas.delete(slot);
    sas.set(slot, { spec, installedMs: this.#time.nowMs, deletedMs: null });
    if (sas.size > livesMax) forgetOldest(sas);
  }

  #deleted({ sas }: NodeHistory, slot: SaSlot): void {
    const life = sas.get(saSlotKey(slot));
    if (life !== undefined) life.deletedMs ??= this.#time.nowMs;
  }

  #selected(node: NodeHistory, { direction, peer, remote, action }: PolicySpec): void {
    if (direction !== "out") return;
    const spi = action.kind === "protect" ? action.spi : null;
    if (node.selections.get(remote.address)?.spi !== spi) this.#deselected(node, remote.address);
    node.selections.set(remote.address, { peer, action: action.kind, spi, sinceMs: this.#time.nowMs });
  }

  #deselected({ selections, deselectedMs }: NodeHistory, address: string): void {
    const before = selections.get(address);
    selections.delete(address);
    if (before === undefined || before.spi === null) return;
    deselectedMs.set(`${address} ${before.spi}`, this.#time.nowMs);
    if (deselectedMs.size > livesMax) deselectedMs.delete(deselectedMs.keys().next().value ?? "");
  }

  #node(name: NodeName): NodeHistory {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const node = new NodeHistory();
    this.#nodes.set(name, node);
    return node;
  }
}

function forgetOldest(sas: Map<string, SaLife>): void {
  for (const [slot, life] of sas) {
    if (life.deletedMs === null) continue;
    sas.delete(slot);
    return;
  }
}
