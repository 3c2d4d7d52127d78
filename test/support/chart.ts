/** The Helm chart, rendered as Helm would (render-chart.go), as objects. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";
import { root } from "./repository.js";

export const chartFolder = join(root, "deploy/helm/spindle");

export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly data?: Readonly<Record<string, string>>;
}

type Values = { readonly [name: string]: unknown };

export function defaultValues(): Values {
  return parse(readFileSync(join(chartFolder, "values.yaml"), "utf8")) as Values;
}

/** @param values those that differ from the defaults, nested as in the file */
export function renderChart(namespace: string, values: Values = {}): readonly Manifest[] {
  const folder = join(chartFolder, "templates");
  const files = Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]),
  );
  const chart = parse(readFileSync(join(chartFolder, "Chart.yaml"), "utf8")) as Values;
  const input = {
    values: merged(defaultValues(), values),
    release: { Name: "spindle", Namespace: namespace, Service: "Helm" },
    chart: { AppVersion: chart["appVersion"] },
    files,
  };
  const output = execFileSync("go", ["run", join(root, "test/support/render-chart.go")], {
    input: JSON.stringify(input),
    encoding: "utf8",
  });
  const rendered = JSON.parse(output) as Readonly<Record<string, string>>;
  return Object.values(rendered).flatMap((text) =>
    parseAllDocuments(text).map((document) => document.toJS() as Manifest),
  );
}

function merged(base: Values, changes: Values): Values {
  const result: Record<string, unknown> = { ...base };
  for (const [name, change] of Object.entries(changes)) {
    const before = base[name];
    result[name] = isValues(before) && isValues(change) ? merged(before, change) : change;
  }
  return result;
}

function isValues(value: unknown): value is Values {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
