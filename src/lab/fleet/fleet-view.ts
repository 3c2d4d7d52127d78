/**
 * How the lab sees its fleet: as an operator could, from the registry and from the agents' logs. It
 * decides nothing for the fleet, and what it costs the registry is counted apart.
 */
import { systemClock } from "../../adapters/system/clock.js";
import type { FleetPhase, FleetRecord } from "../../core/fleet/record.js";
import type { IncarnationId, RosterEntry } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import type { AgentPhase } from "../../core/rotation/state.js";
import type { WatchEvent } from "../../ports/registry.js";
import type { LabConnection } from "../registry/lab-registry.js";
import { parseAgentLog } from "./agent-log.js";
import type { RegistryCounts } from "./registry-load.js";

/** `down` from a program's end until its successor says something. Nodes are indices from 0. */
export type NodePhase = AgentPhase | "down";

export type FleetEvent =
  | {
      readonly kind: "agent-phase";
      readonly node: number;
      readonly phase: NodePhase;
      readonly keyId: number | null;
    }
  | { readonly kind: "agent-staged"; readonly node: number; readonly keyId: number }
  | {
      readonly kind: "agent-retired";
      readonly node: number;
      readonly keyId: number;
      readonly forced: boolean;
    }
  | { readonly kind: "fleet-phase"; readonly phase: FleetPhase; readonly record: FleetRecord }
  | { readonly kind: "report"; readonly node: number; readonly report: Report }
  | { readonly kind: "admitted"; readonly node: number; readonly incarnationId: IncarnationId };

export type FleetListener = (event: FleetEvent, atMs: number) => void;

export class FleetView {
  readonly #names: readonly string[];
  readonly #listeners = new Set<FleetListener>();
  readonly #phases: NodePhase[];
  readonly #reports = new Map<number, Report>();
  readonly #incarnations = new Map<number, IncarnationId>();
  #record: FleetRecord | null = null;
  #connection: LabConnection | null = null;
  #ownEvents = 0;

  constructor(names: readonly string[]) {
    this.#names = names;
    this.#phases = names.map(() => "down");
  }

  /** Watches the registry as soon as it is there; `close` ends it. */
  connect(connection: LabConnection): void {
    this.#connection = connection;
    const { registry } = connection;
    registry.watchRoster((event) => this.#each(event, (entry) => this.#seeEntry(entry)));
    registry.watchReports((event) => this.#each(event, (report) => this.#seeReport(report)));
    registry.watchFleet((event) => {
      if (event.kind !== "value" || event.object.value === null) return;
      this.#ownEvents += 1;
      this.#seeFleet(event.object.value);
    });
  }

  close(): void {
    this.#connection?.registry.close();
  }

  watch(listener: FleetListener): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  get phases(): readonly NodePhase[] {
    return this.#phases;
  }

  get record(): FleetRecord | null {
    return this.#record;
  }

  report(node: number): Report | undefined {
    return this.#reports.get(node);
  }

  /** Changes that the registry sent to the lab itself. */
  get ownEvents(): number {
    return this.#ownEvents;
  }

  /** What the registry has counted since its program started; null while it cannot be reached. */
  counts(): Promise<RegistryCounts | null> {
    return this.#connection?.counts() ?? Promise.resolve(null);
  }

  /** One line of an agent's log. */
  readAgentLog(node: number, line: string): void {
    const entry = parseAgentLog(line);
    if (entry === null) return;
    if (entry.kind === "phase") this.setPhase(node, entry.to, entry.keyId);
    if (entry.kind === "staged") this.#tell({ ...entry, kind: "agent-staged", node });
    if (entry.kind === "retired") this.#tell({ ...entry, kind: "agent-retired", node });
  }

  setPhase(node: number, phase: NodePhase, keyId: number | null): void {
    if (this.#phases[node] === phase) return;
    this.#phases[node] = phase;
    this.#tell({ kind: "agent-phase", node, phase, keyId });
  }

  /**
   * Records are taken one by one; the lab removes none, so nothing is lost by not looking for
   * removals.
   */
  #each<T>(event: WatchEvent<T>, see: (item: T) => void): void {
    if (event.kind === "listing") for (const item of event.items) see(item);
    if (event.kind !== "put") return;
    this.#ownEvents += 1;
    see(event.item);
  }

  #seeEntry(entry: RosterEntry): void {
    const node = this.#names.indexOf(entry.name);
    if (node < 0 || this.#incarnations.get(node) === entry.incarnationId) return;
    this.#incarnations.set(node, entry.incarnationId);
    this.#tell({ kind: "admitted", node, incarnationId: entry.incarnationId });
  }

  #seeReport(report: Report): void {
    const node = this.#names.indexOf(report.node);
    if (node < 0) return;
    this.#reports.set(node, report);
    this.#tell({ kind: "report", node, report });
  }

  #seeFleet(record: FleetRecord): void {
    const before = this.#record;
    this.#record = record;
    if (before?.phase === record.phase && before.rotation === record.rotation) return;
    this.#tell({ kind: "fleet-phase", phase: record.phase, record });
  }

  #tell(event: FleetEvent): void {
    const atMs = systemClock.nowMs();
    for (const listener of [...this.#listeners]) listener(event, atMs);
  }
}
