/** Packets one by one, as slow as it gets: what the flows of a fleet must come to. It looks, and changes nothing. */
import type { SimFleet } from "../../src/sim/fleet.js";
import { receive, routeVia, transitMs, type Flow, type Plain } from "../../src/sim/model/flow.js";
import type { SimSa } from "../../src/sim/model/sa-table.js";

export class PacketReference {
  readonly #fleet: SimFleet;
  readonly #intervalMs: number;
  readonly #known = new Set<Flow>();
  sent = 0;
  delivered = 0;
  blocked = 0;
  /** Packets that the receiver dropped, by counter. */
  readonly dropped = new Map<string, number>();
  /** Packets that each SA counts. */
  readonly counted = new Map<SimSa, number>();

  constructor(fleet: SimFleet, intervalMs: number) {
    this.#fleet = fleet;
    this.#intervalMs = intervalMs;
  }

  /** To be called after whatever brings new flows. */
  follow(): void {
    this.#fleet.run(0);
    for (const flow of flowsOf(this.#fleet)) {
      if (this.#known.has(flow)) continue;
      this.#known.add(flow);
      const { nowMs } = this.#fleet.time;
      this.#sendAt(flow, Math.ceil((nowMs - flow.phaseMs) / this.#intervalMs));
    }
  }

  #sendAt(flow: Flow, number: number): void {
    this.#fleet.time.at(flow.phaseMs + number * this.#intervalMs, () => {
      if (flow.near.flowTo !== flow) return;
      this.#send(flow, number % flow.everyPackets === 0);
      this.#sendAt(flow, number + 1);
    });
  }

  #send(flow: Flow, isCounted: boolean): void {
    const sa = routeVia(flow.near, flow.local, flow.isOpen);
    if (typeof sa === "string") {
      this.blocked += 1;
      return;
    }
    this.sent += 1;
    if (isCounted && typeof sa === "object") increase(this.counted, sa);
    this.#fleet.time.at(this.#fleet.time.nowMs + transitMs, () => this.#receive(flow, sa, isCounted));
  }

  #receive(flow: Flow, sent: SimSa | Plain, isCounted: boolean): void {
    const sa = receive(flow, sent);
    if (typeof sa === "string") return increase(this.dropped, sa);
    this.delivered += 1;
    if (isCounted && typeof sa === "object") increase(this.counted, sa);
  }
}

export function flowsOf(fleet: SimFleet): readonly Flow[] {
  return fleet.live().flatMap((name) => {
    const node = fleet.node(name);
    return fleet.peersOf(name).flatMap((peer) => {
      const { ipv4 } = fleet.node(peer).ends;
      return (ipv4 === null ? null : node.kernel.find({ remote: ipv4 })?.flowTo) ?? [];
    });
  });
}

function increase<K>(counts: Map<K, number>, key: K): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
