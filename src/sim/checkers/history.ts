/**
 * What happened to each node's kernel and what each node said, as seen at the ports of its agents: enough to name the
 * first cause of a violation. It observes below any mutant, so it records what was done and not what was meant. Bounded:
 * one record per remote address, which remembers a few of the SAs and selections that are gone.
 */
import type { KeyId } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import {
  endpointKey,
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
import type { Place } from "../model/sa-table.js";
import type { SimOptions } from "../options.js";

/** One SA in one kernel: since when, and until when if it is gone. */
export interface SaLife {
  readonly spec: SaSpec;
  readonly installedMs: number;
  deletedMs: number | null;
}

/** What an outbound policy to one address or network selects. */
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

/** SAs of one remote address that are gone, and outbound SPIs that it was sent with: so many are remembered. */
const goneMax = 6;

/** What one node did about one remote address. */
interface Dealings {
  lives: readonly SaLife[];
  selection: Selection | null;
  /** When an outbound SPI was last deselected, the latest last. */
  deselected: readonly { readonly spi: Spi; readonly peer: NodeName; readonly atMs: number }[];
}

class NodeHistory {
  /** By remote address. */
  readonly dealings = new Map<string, Dealings>();
  /** Tunnel mode: by pair of networks. */
  readonly betweenNetworks = new Map<string, Dealings>();
  /** When its reports first claimed each key, by key id. */
  readonly advertisedMs = new Map<KeyId, number>();

  with({ local, remote }: Place): Dealings {
    const kept = local === undefined ? this.dealings : this.betweenNetworks;
    const key = local === undefined ? endpointKey(remote) : `${local} ${remote.address}`;
    const known = kept.get(key);
    if (known !== undefined) return known;
    const dealings: Dealings = { lives: [], selection: null, deselected: [] };
    kept.set(key, dealings);
    return dealings;
  }

  /** All that selects or selected what is sent to this peer at this address. */
  *sending(address: string, peer: NodeName): IterableIterator<Dealings> {
    const there = this.dealings.get(address);
    if (there !== undefined) yield there;
    for (const dealings of this.betweenNetworks.values()) {
      if (dealings.selection?.peer === peer || dealings.deselected.some((one) => one.peer === peer)) yield dealings;
    }
  }
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
    for (const { lives } of this.#nodes.get(to)?.dealings.values() ?? []) {
      for (const life of lives) {
        const { direction, key } = life.spec;
        if (direction !== "in" || key.from.name !== from || key.keyId !== keyId) continue;
        if (last === null || life.installedMs >= last.installedMs) last = life;
      }
    }
    return last;
  }

  life(name: NodeName, slot: SaSlot): SaLife | null {
    const dealings = this.#nodes.get(name)?.dealings.get(endpointKey(slot.remote));
    return dealings === undefined ? null : lifeOf(dealings, slot);
  }

  /** What the policies of `name` select for `peer`, at its address or for its networks. */
  selections(name: NodeName, address: string, peer: NodeName): readonly Selection[] {
    const sending = [...(this.#nodes.get(name)?.sending(address, peer) ?? [])];
    return sending.map(({ selection }) => selection).filter((selection) => selection !== null);
  }

  /** When `name` last stopped sending to `peer` at `address` with `spi`, null when it never had. */
  deselectedMs(name: NodeName, address: string, peer: NodeName, spi: Spi): number | null {
    const sending = [...(this.#nodes.get(name)?.sending(address, peer) ?? [])];
    const times = sending.flatMap(({ deselected }) => deselected.filter((one) => one.spi === spi).map(({ atMs }) => atMs));
    return times.length === 0 ? null : Math.max(...times);
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
        return this.#installed(node.with(saSlotOf(operation.sa)), operation.sa);
      case "delete-sa":
        return this.#deleted(node.with(operation.slot), operation.slot);
      case "set-policy":
        return this.#selected(node.with(operation.policy), operation.policy);
      case "delete-policy":
        if (operation.policy.direction === "out") this.#deselected(node.with(operation.policy));
        return;
    }
  }

  #installed(dealings: Dealings, spec: SaSpec): void {
    const before = lifeOf(dealings, spec);
    if (before?.deletedMs === null && sameKeyRef(before.spec.key, spec.key)) return;
    // What was sent with the SPI so far was sent with another key.
    if (spec.direction === "out") dealings.deselected = dealings.deselected.filter(({ spi }) => spi !== spec.spi);
    const others = before === null ? dealings.lives : without(dealings.lives, before);
    dealings.lives = withoutOldest(others.concat({ spec, installedMs: this.#time.nowMs, deletedMs: null }));
  }

  #deleted(dealings: Dealings, slot: SaSlot): void {
    const life = lifeOf(dealings, slot);
    if (life !== null) life.deletedMs ??= this.#time.nowMs;
  }

  #selected(dealings: Dealings, { direction, peer, action }: PolicySpec): void {
    if (direction !== "out") return;
    const spi = action.kind === "protect" ? action.spi : null;
    if (dealings.selection?.spi !== spi) this.#deselected(dealings);
    dealings.selection = { peer, action: action.kind, spi, sinceMs: this.#time.nowMs };
  }

  #deselected(dealings: Dealings): void {
    const before = dealings.selection;
    dealings.selection = null;
    if (before === null || before.spi === null) return;
    const gone = { spi: before.spi, peer: before.peer, atMs: this.#time.nowMs };
    dealings.deselected = [...dealings.deselected, gone].slice(-goneMax);
  }

  #node(name: NodeName): NodeHistory {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const node = new NodeHistory();
    this.#nodes.set(name, node);
    return node;
  }
}

function lifeOf({ lives }: Dealings, { direction, spi }: Pick<SaSlot, "direction" | "spi">): SaLife | null {
  for (const life of lives) if (life.spec.spi === spi && life.spec.direction === direction) return life;
  return null;
}

/** Without the oldest of those that are gone, if they are too many. */
function withoutOldest(lives: readonly SaLife[]): readonly SaLife[] {
  if (lives.length <= goneMax) return lives;
  const gone = lives.filter(({ deletedMs }) => deletedMs !== null);
  const [oldest] = gone;
  return oldest !== undefined && gone.length > goneMax ? without(lives, oldest) : lives;
}

/** Made to size, as there is a list for every pair of the fleet. */
function without(lives: readonly SaLife[], life: SaLife): readonly SaLife[] {
  return lives.toSpliced(lives.indexOf(life), 1);
}
