/**
 * What kernels counted, and when: they say why packets were dropped, and never which. A lost packet
 * is explained by a count of the same moment, and each count explains one packet.
 */
import { labelsOf, type XfrmCounters } from "../../core/xfrm-counters.js";

export interface CountedDrop {
  readonly node: number;
  readonly counter: string;
  readonly packets: number;
  /** Between two readings, monotonic milliseconds. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** A packet is counted at once, or when a receiver that was held up comes to it. */
const slackMs = 500;

export class CountedDrops {
  readonly #drops: CountedDrop[] = [];
  readonly #last = new Map<number, { readonly atMs: number; readonly counters: XfrmCounters }>();

  /** The node's counters as read at `atMs`; those of a fresh kernel begin at zero. */
  read(node: number, counters: XfrmCounters, atMs: number): void {
    const last = this.#last.get(node);
    this.#last.set(node, { atMs, counters });
    if (last === undefined) return;
    for (const counter of Object.keys(counters)) {
      const packets = (counters[counter] ?? 0) - (last.counters[counter] ?? 0);
      if (packets <= 0) continue;
      this.#drops.push({ node, counter, packets, fromMs: last.atMs, toMs: atMs });
    }
  }

  /** A fresh kernel. */
  forget(node: number): void {
    this.#last.delete(node);
  }

  /** All packets counted since `atMs`. */
  countSince(atMs: number): number {
    const since = this.#drops.filter(({ toMs }) => toMs >= atMs);
    return since.reduce((sum, { packets }) => sum + packets, 0);
  }

  /** For one explanation of all losses. */
  spend(): SpareDrops {
    return new SpareDrops(this.#drops);
  }
}

export class SpareDrops {
  readonly #spare: { readonly drop: CountedDrop; packets: number }[];

  constructor(drops: readonly CountedDrop[]) {
    this.#spare = drops.map((drop) => ({ drop, packets: drop.packets }));
  }

  /** Takes one packet that was dropped by the node in this direction about then. */
  take(node: number, type: "inbound" | "outbound", sentMs: number): string | null {
    const found = this.#spare.find(({ drop, packets }) => {
      const isThen = drop.toMs >= sentMs && drop.fromMs <= sentMs + slackMs;
      return packets > 0 && drop.node === node && labelsOf(drop.counter)[0] === type && isThen;
    });
    if (found === undefined) return null;
    found.packets -= 1;
    return found.drop.counter;
  }
}
