/**
 * One rotation of the lab's fleet: writes the new key to every node, follows the nodes until the
 * old key is retired everywhere, and takes the old line out of the key files. The lab only
 * distributes the key and looks on; what happens is decided by agents and controller. Times are
 * milliseconds from the moment the first key file was written.
 */
import { systemClock } from "../adapters/system/clock.js";
import type { FleetEvent, FleetView } from "./fleet/fleet-view.js";
import type { Coordination } from "./options.js";

/** When a node first did something; absent while it has not. */
export interface NodeTimes {
  /** Its report says that it holds the key: true or not. */
  advertisedMs?: number;
  /** Its inbound SAs exist. */
  stagedMs?: number;
  switchedMs?: number;
  retiredMs?: number;
  forced?: boolean;
}

export class RotationWatch {
  readonly keyId: number;
  readonly oldKeyId: number;
  readonly startedMs = systemClock.nowMs();
  readonly nodes: readonly NodeTimes[];
  readonly #view: FleetView;
  readonly #coordination: Coordination;
  readonly #unwatch: () => void;
  #endedMs: number | null = null;

  constructor(
    view: FleetView,
    coordination: Coordination,
    keys: { readonly keyId: number; readonly oldKeyId: number; readonly nodes: number },
  ) {
    this.keyId = keys.keyId;
    this.oldKeyId = keys.oldKeyId;
    this.nodes = Array.from({ length: keys.nodes }, () => ({}));
    this.#view = view;
    this.#coordination = coordination;
    this.#unwatch = view.watch((event, atMs) => this.#see(event, atMs - this.startedMs));
  }

  /** Milliseconds from the start to its end, null while it runs. */
  get durationMs(): number | null {
    return this.#endedMs;
  }

  stop(): void {
    this.#unwatch();
  }

  /** When the last node did it; null while one has not. */
  lastMs(what: "stagedMs" | "switchedMs" | "retiredMs"): number | null {
    const times = this.nodes.map((node) => node[what] ?? Number.POSITIVE_INFINITY);
    const last = Math.max(...times);
    return Number.isFinite(last) ? last : null;
  }

  count(what: "stagedMs" | "switchedMs" | "retiredMs"): number {
    return this.nodes.filter((node) => node[what] !== undefined).length;
  }

  #see(event: FleetEvent, atMs: number): void {
    const times = "node" in event ? this.nodes[event.node] : undefined;
    if (times !== undefined) this.#seeNode(times, event, atMs);
    if (this.#endedMs === null && this.#isOver()) {
      this.#endedMs = atMs;
      for (const node of this.nodes) this.#reach(node, "retiredMs", atMs);
    }
  }

  #seeNode(times: NodeTimes, event: FleetEvent, atMs: number): void {
    if (event.kind === "agent-phase" && event.keyId === this.keyId) {
      if (event.phase === "staged") this.#reach(times, "stagedMs", atMs);
      if (event.phase === "switched" || event.phase === "draining") {
        this.#reach(times, "switchedMs", atMs);
      }
    }
    if (event.kind === "agent-staged" && event.keyId === this.keyId) {
      this.#reach(times, "stagedMs", atMs);
    }
    if (event.kind === "agent-retired" && event.keyId === this.oldKeyId) {
      this.#reach(times, "retiredMs", atMs);
      times.forced = event.forced;
    }
    if (event.kind === "report" && event.report.holds.some((key) => key.keyId === this.keyId)) {
      times.advertisedMs ??= atMs;
    }
  }

  /**
   * What comes later has been reached before, even when nobody saw it: an agent may die between two
   * lines.
   */
  #reach(times: NodeTimes, what: "stagedMs" | "switchedMs" | "retiredMs", atMs: number): void {
    times.stagedMs ??= atMs;
    if (what !== "stagedMs") times.switchedMs ??= atMs;
    if (what === "retiredMs") times.retiredMs ??= atMs;
  }

  #isOver(): boolean {
    const isRetired = this.nodes.every((_, node) => this.#hasRetired(node));
    if (this.#coordination === "pairwise") return isRetired;
    const record = this.#view.record;
    return isRetired && record?.phase === "steady" && record.current?.keyId === this.keyId;
  }

  #hasRetired(node: number): boolean {
    const holds = this.#view.report(node)?.holds.map((key) => key.keyId) ?? [];
    return holds.includes(this.keyId as never) && !holds.includes(this.oldKeyId as never);
  }
}
