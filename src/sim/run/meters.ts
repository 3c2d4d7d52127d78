/** Reads a running fleet from outside, slice by slice: packets, registry load, phases. What was read is not kept. */
import type { SimFleet } from "../fleet.js";
import type { RotationWatch } from "./rotation-watch.js";
import { lossReason, type PacketCounts, type RegistryFigures, type SimulationResult } from "./simulation-result.js";
import { TimeSeries } from "./time-series.js";

export class Meters {
  readonly #fleet: SimFleet;
  readonly #sliceMs: number;
  readonly #series: TimeSeries;
  /** Nodes by phase. */
  readonly #phases = new Map<string, number>();
  /** Registry events of the slices of the last second. */
  readonly #lastSecond: number[] = [];
  #errorsKept = 0;
  /** Packets lost so far, as the traffic told them last. */
  readonly #lostBefore = new Map<string, number>();
  #eventsSeen = 0;
  #peakEvents = 0;
  #before = { writes: 0, events: 0, sent: 0, received: 0 };

  constructor(fleet: SimFleet, sliceMs: number) {
    this.#fleet = fleet;
    this.#sliceMs = sliceMs;
    this.#series = new TimeSeries(sliceMs);
    this.#phases.set("steady", fleet.live().length);
  }

  /** What came before, while the fleet started, does not count. */
  beginCounting(): void {
    const { registry } = this.#fleet;
    this.#before = { writes: this.#writes(), events: registry.watchEvents, ...this.#count() };
    this.#peakEvents = 0;
  }

  /** Call at the end of each slice. */
  measure(rotation: RotationWatch | null): void {
    const atMs = this.#fleet.time.nowMs - this.#sliceMs;
    this.#readLogs(rotation);
    this.#readLosses(atMs);
    this.#readRegistry(atMs);
    for (const [phase, nodes] of this.#phases) this.#series.level(`phase: ${phase}`, atMs, nodes);
  }

  /** Errors stay where they are: checkers read them at the end. */
  #readLogs(rotation: RotationWatch | null): void {
    const { logs } = this.#fleet;
    const lines = logs.splice(this.#errorsKept);
    logs.push(...lines.filter(({ level }) => level === "error"));
    this.#errorsKept = logs.length;
    for (const line of lines) {
      rotation?.see(line);
      if (line.message !== "phase changed") continue;
      const [from, to] = [String(line.fields["from"]), String(line.fields["to"])];
      this.#phases.set(from, (this.#phases.get(from) ?? 0) - 1);
      this.#phases.set(to, (this.#phases.get(to) ?? 0) + 1);
    }
  }

  #readLosses(atMs: number): void {
    for (const [why, packets] of this.#fleet.traffic.lostBy) {
      const fresh = packets - (this.#lostBefore.get(why) ?? 0);
      this.#lostBefore.set(why, packets);
      if (fresh > 0) this.#series.count(`lost: ${lossReason(why)}`, atMs, fresh);
    }
  }

  #readRegistry(atMs: number): void {
    const { watchEvents } = this.#fleet.registry;
    const events = watchEvents - this.#eventsSeen;
    this.#eventsSeen = watchEvents;
    this.#series.count("registry events", atMs, events);
    this.#lastSecond.push(events);
    if (this.#lastSecond.length * this.#sliceMs > 1_000) this.#lastSecond.shift();
    this.#peakEvents = Math.max(this.#peakEvents, this.#lastSecond.reduce((sum, count) => sum + count, 0));
  }

  packets(): PacketCounts {
    const { sent, received } = this.#count();
    const reasons = [...this.#fleet.traffic.lostBy].filter(([, packets]) => packets > 0);
    const lostByReason = Object.fromEntries(reasons.map(([why, packets]) => [lossReason(why), packets]));
    const lost = reasons.reduce((sum, [, packets]) => sum + packets, 0);
    const before = this.#before;
    return { sent: sent - before.sent, received: received - before.received, lost, lostByReason };
  }

  /** What is on its way is not sent yet: of all else it is known whether it arrived. */
  #count(): { readonly sent: number; readonly received: number } {
    const { sent, onTheWay, blocked, delivered } = this.#fleet.traffic.count();
    return { sent: sent - onTheWay + blocked, received: delivered };
  }

  registry(): RegistryFigures {
    const writes = this.#writes() - this.#before.writes;
    const watchEvents = this.#fleet.registry.watchEvents - this.#before.events;
    return { writes, watchEvents, peakEventsPerSecond: this.#peakEvents };
  }

  series(): SimulationResult["series"] {
    return { binMs: this.#series.binMs, all: this.#series.all() };
  }

  #writes(): number {
    const { roster, report, fleet, rotation } = this.#fleet.registry.writes;
    return roster + report + fleet + rotation;
  }
}
