/** What the lab's traffic met: of all of it, and of any span of time. */
import type { PingLine } from "./pings.js";

type Tick = Extract<PingLine, { readonly kind: "tick" }>;

export interface TrafficFigures {
  readonly sent: number;
  readonly answered: number;
  readonly lost: number;
  /** Numbers of the flows that lost any. */
  readonly lostFlows: readonly number[];
  /** Longest time between two answers of a flow, without the time by which pings were sent late. */
  readonly longestGapMs: number;
  /** With that time, which is the machine's and not the link's. */
  readonly longestRawGapMs: number;
  readonly streamBytes: number;
  readonly streamStallMs: number;
  readonly streamFailures: readonly string[];
}

export class TrafficWatch {
  readonly #ticks: Tick[] = [];
  readonly #lost: Extract<PingLine, { readonly kind: "lost" }>[] = [];
  readonly #failures: { readonly atMs: number; readonly why: string }[] = [];

  /** @param text a line of `pings.ts` */
  take(text: string): void {
    const line = JSON.parse(text) as PingLine;
    if (line.kind === "tick") this.#ticks.push(line);
    else if (line.kind === "lost") this.#lost.push(line);
    else this.#failures.push(line);
  }

  /** Does every flow get answers? */
  get isFlowing(): boolean {
    const last = this.#ticks.at(-1);
    return last !== undefined && last.answered > 0 && last.answered >= last.sent / 2 && last.streamBytes > 0;
  }

  /** When the last line came, 0 before the first. */
  get lastMs(): number {
    return this.#ticks.at(-1)?.atMs ?? 0;
  }

  figures(fromMs: number, toMs: number): TrafficFigures {
    const isWithin = (atMs: number): boolean => atMs >= fromMs && atMs <= toMs;
    const ticks = this.#ticks.filter(({ atMs }) => isWithin(atMs));
    const lost = this.#lost.filter(({ sentMs }) => isWithin(sentMs));
    const sum = (of: (tick: Tick) => number): number => ticks.reduce((total, tick) => total + of(tick), 0);
    const most = (of: (tick: Tick) => number): number => ticks.reduce((max, tick) => Math.max(max, of(tick)), 0);
    return {
      sent: sum(({ sent }) => sent),
      answered: sum(({ answered }) => answered),
      lost: lost.length,
      lostFlows: [...new Set(lost.map(({ flow }) => flow))].sort((one, other) => one - other),
      longestGapMs: Math.round(most(({ longestGapMs }) => longestGapMs)),
      longestRawGapMs: Math.round(most(({ longestRawGapMs }) => longestRawGapMs)),
      streamBytes: sum(({ streamBytes }) => streamBytes),
      streamStallMs: Math.round(most(({ streamStallMs }) => streamStallMs)),
      streamFailures: this.#failures.filter(({ atMs }) => isWithin(atMs)).map(({ why }) => why),
    };
  }
}
