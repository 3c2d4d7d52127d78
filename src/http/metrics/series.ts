/**
 * Prometheus series that are computed from a status when they are scraped. A table of rows says
 * what each metric is and how it is read; the client library does naming, escaping and the text
 * format. Labels come from closed sets only: a peer's name is never one.
 */
import { Counter, Gauge, Registry } from "prom-client";

export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface MetricRow<Status> {
  readonly kind: "counter" | "gauge";
  readonly name: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** No samples when there is nothing to tell yet. */
  readonly read: (status: Status, wallMs: number) => readonly Sample[];
}

export interface Metrics {
  readonly contentType: string;
  /** The text of one scrape. */
  render(): Promise<string>;
}

/** Of the label `coordination`: an alert on leaders asks for it, as pairwise there are none. */
export const coordinations = ["barrier", "pairwise"] as const;

export function makeMetrics<Status>(
  rows: readonly MetricRow<Status>[],
  status: () => Status,
): Metrics {
  const registry = new Registry();
  let scraped: Status | null = null;
  const samples = (row: MetricRow<Status>): readonly Sample[] => row.read((scraped ??= status()), Date.now());
  for (const row of rows) register(registry, row, () => samples(row));
  const render = (): Promise<string> => {
    // All metrics of a scrape are of one moment, and computed once.
    scraped = null;
    return registry.metrics();
  };
  return { contentType: registry.contentType, render };
}

function register<Status>(registry: Registry, row: MetricRow<Status>, samples: () => readonly Sample[]): void {
  const { name, help } = row;
  const common = { name, help, labelNames: [...row.labels], registers: [registry] };
  if (row.kind === "gauge") {
    new Gauge({
      ...common,
      collect() {
        this.reset();
        // A reset leaves a metric without labels at zero, which would be a claim.
        if (row.labels.length === 0) this.remove();
        for (const { labels, value } of samples()) this.set(labels, value);
      },
    });
    return;
  }
  // Counters are kept elsewhere as absolute values, and may start again from zero there.
  new Counter({
    ...common,
    collect() {
      this.reset();
      for (const { labels, value } of samples()) this.inc(labels, value);
    },
  });
}

export function single(value: number | null): readonly Sample[] {
  return value === null ? [] : [{ labels: {}, value }];
}

/** One sample for each member of a closed set, 1 for `present` and 0 for the others. */
export function oneOf(
  label: string,
  members: readonly string[],
  present: string,
): readonly Sample[] {
  return members.map((member) => ({
    labels: { [label]: member },
    value: member === present ? 1 : 0,
  }));
}

/** One sample for each entry of a record; null entries have none. */
export function perEntry(
  label: string,
  values: Readonly<Record<string, number | null>>,
): readonly Sample[] {
  return Object.entries(values).flatMap(([member, value]) =>
    value === null ? [] : [{ labels: { [label]: member }, value }],
  );
}

/**
 * Unix time in whole seconds of a moment `ageMs` ago: a timestamp, so that it stays put between
 * scrapes.
 */
export function secondsAt(wallMs: number, ageMs: number): number {
  return Math.round((wallMs - ageMs) / 1_000);
}
