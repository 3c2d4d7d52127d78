/**
 * The registry as a value, and the events that wait for each watcher. Commits are in order; a watcher gets its events in
 * order and late, and a listing first. It never fails: what clients lose is a move of its own.
 */
import type { FleetRecord, OperatorRequest } from "../core/fleet/record.js";
import type { NodeName, RosterEntry, RosterRevision } from "../core/node.js";
import type { Report } from "../core/report.js";
import type { IncarnationNumber, NodeIndex } from "../core/spi.js";
import type { RegisterRequest } from "../ports/registry.js";
import type { AgentInput } from "../runtime/agent-input.js";

export type Stream = "roster" | "reports" | "fleet" | "request";
export const streams: readonly Stream[] = ["roster", "reports", "fleet", "request"];

/** One delivery; the same for agents and controllers. */
export type StreamEvent = Extract<AgentInput, { kind: Stream }>;

export interface Registry {
  readonly revision: number;
  readonly entries: ReadonlyMap<NodeName, RosterEntry>;
  readonly reports: ReadonlyMap<NodeName, Report>;
  readonly fleet: { readonly version: number; readonly value: FleetRecord | null };
  readonly request: OperatorRequest | null;
}

export const newRegistry: Registry = {
  revision: 0,
  entries: new Map(),
  reports: new Map(),
  fleet: { version: 0, value: null },
  request: null,
};

/** A registry after a commit, with the event that tells of it. */
export interface Commit {
  readonly registry: Registry;
  readonly event: StreamEvent;
}

export function register(
  registry: Registry,
  request: RegisterRequest,
  position: number,
  revision: number,
): Commit & { readonly entry: RosterEntry } {
  const before = registry.entries.get(request.name);
  const number = before === undefined ? 0 : before.incarnationNumber + 1;
  const entry: RosterEntry = {
    name: request.name,
    index: (position + 1) as NodeIndex,
    incarnationId: request.incarnationId,
    incarnationNumber: number as IncarnationNumber,
    addresses: request.addresses,
    revision: revision as RosterRevision,
  };
  const entries = sorted(new Map([...registry.entries, [entry.name, entry] as const]));
  const event: StreamEvent = { kind: "roster", event: { kind: "put", revision, item: entry } };
  return { registry: { ...registry, revision, entries }, event, entry };
}

export function publish(registry: Registry, report: Report): Commit {
  const reports = sorted(new Map([...registry.reports, [report.node, report] as const]));
  const event: StreamEvent = { kind: "reports", event: { kind: "put", revision: 0, item: report } };
  return { registry: { ...registry, reports }, event };
}

export function writeFleet(registry: Registry, record: FleetRecord): Commit {
  const fleet = { version: registry.fleet.version + 1, value: withoutWords(record) };
  return { registry: { ...registry, fleet }, event: { kind: "fleet", event: { kind: "value", object: fleet } } };
}

/** The controller's explanation is for people. */
function withoutWords(record: FleetRecord): FleetRecord {
  return record.answer === null ? record : { ...record, answer: { ...record.answer, why: "" } };
}

export function setRequest(registry: Registry, request: OperatorRequest | null): Commit {
  const event: StreamEvent = { kind: "request", event: { kind: "value", object: { version: 0, value: request } } };
  return { registry: { ...registry, request }, event };
}

/** What a watch of `stream` begins with, and sends after a gap. Nobody needs its own report (`except`). */
export function listing(registry: Registry, stream: Stream, except: NodeName | null): StreamEvent {
  switch (stream) {
    case "roster":
      return { kind: stream, event: { kind: "listing", revision: registry.revision, items: [...registry.entries.values()] } };
    case "reports":
      return { kind: stream, event: { kind: "listing", revision: 0, items: reportsOfOthers(registry, except) } };
    case "fleet":
      return { kind: stream, event: { kind: "value", object: registry.fleet } };
    case "request":
      return { kind: stream, event: { kind: "value", object: { version: 0, value: registry.request } } };
  }
}

function reportsOfOthers({ reports }: Registry, except: NodeName | null): readonly Report[] {
  return [...reports.values()].filter(({ node }) => node !== except);
}

function sorted<V>(map: ReadonlyMap<NodeName, V>): ReadonlyMap<NodeName, V> {
  return new Map([...map].sort(([one], [other]) => (one < other ? -1 : 1)));
}
