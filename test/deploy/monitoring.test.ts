/** The files that operators load into Prometheus and Grafana: rules that fire when they should, of metrics that exist. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { parse, stringify } from "yaml";
import { limits } from "../../src/core/limits.js";
import { readFile, root } from "../support/repository.js";

const rulesPath = "deploy/prometheus/spindle-alerts.yaml";
const testsPath = "deploy/prometheus/spindle-alerts.test.yaml";

interface Rules {
  readonly groups: readonly { readonly rules: readonly { readonly alert: string; readonly expr: string }[] }[];
}

interface RuleTests {
  readonly tests: readonly { readonly alert_rule_test: readonly { readonly alertname: string; readonly exp_alerts: readonly unknown[] }[] }[];
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets: readonly { readonly expr: string }[] }[];
}

const rules = (parse(readFile(rulesPath)) as Rules).groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(readFile("deploy/grafana/spindle.json")) as Dashboard;
const documented = new Set(readFile("docs/reference/metrics.md").match(/spindle_[a-z_]+/g));

function promtool(...words: readonly string[]): void {
  const { status, stdout, stderr } = spawnSync("promtool", words, { cwd: root, encoding: "utf8" });
  assert.equal(status, 0, `${stdout}${stderr}`);
}

function assertDocumented(where: string, expression: string): void {
  for (const name of expression.match(/spindle_[a-z_]+/g) ?? []) assert.ok(documented.has(name), `${where}: ${name}`);
}

test("alerts: promtool accepts the rules", () => promtool("check", "rules", rulesPath));

test("alerts: promtool sees them fire, and stay quiet in a hitless rotation", () => promtool("test", "rules", testsPath));

test("alerts: each rule is among those that a hitless rotation must not fire", () => {
  const [quiet] = (parse(readFile(testsPath)) as RuleTests).tests;
  const names = quiet?.alert_rule_test.filter(({ exp_alerts: expected }) => expected.length === 0).map(({ alertname }) => alertname);
  assert.deepEqual([...(names ?? [])].sort(), rules.map(({ alert }) => alert).sort());
});

test("alerts: sequence numbers are low where the agent says so", () => {
  const { expr = "" } = rules.find(({ alert }) => alert === "SpindleSequenceNumbersLow") ?? {};
  assert.ok(expr.endsWith(` >= ${limits.sequenceShareWarned}`), expr);
});

test("alerts and dashboard: every metric is documented", () => {
  for (const { alert, expr } of rules) assertDocumented(alert, expr);
  for (const { title, targets } of dashboard.panels) for (const { expr } of targets) assertDocumented(title, expr);
});

test("dashboard: Prometheus understands each expression", async () => {
  const expressions = dashboard.panels.flatMap(({ targets }) => targets.map(({ expr }) => expr));
  const asRules = expressions.map((expr, index) => ({ record: `panel:${index}`, expr: withoutVariables(expr) }));
  const folder = await mkdtemp(join(tmpdir(), "spindle-dashboard-"));
  try {
    const path = join(folder, "rules.yaml");
    await writeFile(path, stringify({ groups: [{ name: "dashboard", rules: asRules }] }));
    promtool("check", "rules", path);
  } finally {
    await rm(folder, { recursive: true });
  }
});

/** As Grafana fills them in. */
function withoutVariables(expression: string): string {
  return expression.replaceAll("$__rate_interval", "1m").replaceAll("$__range", "1h").replaceAll("$job", "spindle");
}
