import assert from "node:assert/strict";
import { test } from "node:test";
import { agentPhases } from "../../core/rotation/state.js";
import { xfrmCounters } from "../../core/xfrm-counters.js";
import { readFile } from "../../../test/support/repository.js";
import { agentStatus, controllerStatus } from "../../../test/support/status.js";
import type { AgentStatus } from "../status.js";
import { agentMetricRows, makeAgentMetrics } from "./agent-metrics.js";
import { controllerMetricRows, makeControllerMetrics } from "./controller-metrics.js";

async function scrape(status: AgentStatus): Promise<readonly string[]> {
  return lines(await makeAgentMetrics(() => status).render());
}

function lines(text: string): readonly string[] {
  return text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
}

function valueOf(series: readonly string[], name: string): number | undefined {
  const line = series.find((one) => one.startsWith(`${name} `));
  return line === undefined ? undefined : Number(line.split(" ").at(-1));
}

test("metrics: all 28 error series are there from the start, zero where nothing was counted", async () => {
  const series = await scrape({ ...agentStatus, counters: {} });
  const errors = series.filter((line) => line.startsWith("spindle_xfrm_errors_total{"));
  assert.equal(errors.length, 28);
  assert.equal(errors.length, Object.keys(xfrmCounters).length);
  assert.ok(errors.every((line) => line.endsWith(" 0")));
});

test("metrics: each kernel counter has its own series", async () => {
  const names = Object.keys(xfrmCounters);
  const counters = Object.fromEntries(names.map((name, index) => [name, index + 1]));
  const series = await scrape({ ...agentStatus, counters });
  for (const [index, [type, error]] of Object.values(xfrmCounters).entries()) {
    const name = `spindle_xfrm_errors_total{type="${type}",error="${error}"}`;
    assert.equal(valueOf(series, name), index + 1, name);
  }
});

test("metrics: all of xfrm_stat is there by the kernel's names, also what only a newer kernel has", async () => {
  const series = await scrape({ ...agentStatus, counters: { XfrmInNoStates: 3, XfrmInOfTheFuture: 4 } });
  const shown = series.filter((line) => line.startsWith("spindle_xfrm_stat_total{"));
  assert.equal(shown.length, 29);
  for (const [name, value] of [["XfrmInNoStates", 3], ["XfrmInOfTheFuture", 4], ["XfrmOutError", 0]] as const) {
    assert.equal(valueOf(shown, `spindle_xfrm_stat_total{reason="${name}"}`), value, name);
  }
});

test("metrics: a scrape computes the status once", async () => {
  let asked = 0;
  const metrics = makeAgentMetrics(() => ({ ...agentStatus, forcedRetires: ++asked }));
  for (const count of [1, 2]) {
    assert.equal(valueOf(lines(await metrics.render()), "spindle_forced_retires_total"), count);
  }
});

test("metrics: a scrape shows the status of that moment, also a counter that started again", async () => {
  let lost = 5;
  const metrics = makeAgentMetrics(() => ({ ...agentStatus, counters: { XfrmInNoStates: lost } }));
  const name = 'spindle_xfrm_errors_total{type="inbound",error="no_state"}';
  for (const count of [5, 5, 9, 1]) {
    lost = count;
    assert.equal(valueOf(lines(await metrics.render()), name), count);
  }
});

test("metrics: exactly one phase is 1", async () => {
  for (const phase of agentPhases) {
    const series = await scrape({ ...agentStatus, phase });
    const ones = series.filter((line) => /^spindle_rotation_phase\{.*\} 1$/.test(line));
    assert.deepEqual(ones, [`spindle_rotation_phase{phase="${phase}"} 1`]);
    assert.equal(
      series.filter((line) => line.startsWith("spindle_rotation_phase{")).length,
      agentPhases.length,
    );
  }
});

const agentCases: readonly (readonly [string, number | undefined])[] = [
  ['spindle_sas{direction="in"}', 8],
  ['spindle_sas{direction="out"}', 4],
  ['spindle_policies{direction="in"}', 4],
  ["spindle_keys_in_use", 2],
  ['spindle_key_id{slot="current"}', 7],
  ['spindle_key_id{slot="next"}', 8],
  ['spindle_key_id{slot="previous"}', undefined],
  ["spindle_peers", 4],
  ["spindle_peers_behind", 1],
  ["spindle_peers_blocked", 0],
  ["spindle_peers_plain", 2],
  ["spindle_peers_unproven", 1],
  ["spindle_sequence_highest", 1234],
  ['spindle_key_packets_total{key_id="7",direction="in"}', 70],
  ['spindle_key_bytes_total{key_id="7",direction="out"}', 8_000],
  ['spindle_key_last_used_timestamp_seconds{key_id="7",direction="in"}', undefined],
  ['spindle_key_sequence_highest{key_id="7",direction="in"}', 71],
  ['spindle_key_sequence_used_ratio{key_id="7",direction="out"}', 0.5],
  ["spindle_forced_retires_total", 1],
  ["spindle_stage_duration_seconds", 0.125],
  ["spindle_registry_connected", 1],
  ["spindle_dataplane_connected", 1],
  ["spindle_key_file_valid", 1],
  ['spindle_registry_writes_total{class="report"}', 3],
  ['spindle_build_info{version="1.2.3"}', 1],
];

test("metrics: the agent's series read from the fields they name", async () => {
  const series = await scrape(agentStatus);
  for (const [name, value] of agentCases) assert.equal(valueOf(series, name), value, name);
});

test("metrics: ages become the Unix time they began at", async () => {
  const series = await scrape({ ...agentStatus, phaseForMs: 60_000, checkpointAgeMs: 10_000 });
  const nowSeconds = Date.now() / 1000;
  const phase = valueOf(series, "spindle_phase_entered_timestamp_seconds") ?? NaN;
  const checkpoint = valueOf(series, "spindle_checkpoint_written_timestamp_seconds") ?? NaN;
  const used = valueOf(series, 'spindle_key_last_used_timestamp_seconds{key_id="7",direction="out"}') ?? NaN;
  assert.ok(Math.abs(nowSeconds - 60 - phase) < 2);
  assert.ok(Math.abs(nowSeconds - 60 - used) < 2);
  assert.ok(Math.abs(nowSeconds - 10 - checkpoint) < 2);
});

test("metrics: what is not known yet has no series", async () => {
  const series = await scrape({ ...agentStatus, checkpointAgeMs: null, lastStage: null });
  assert.equal(valueOf(series, "spindle_checkpoint_written_timestamp_seconds"), undefined);
  assert.equal(valueOf(series, "spindle_stage_duration_seconds"), undefined);
});

test("metrics: no peer name is anywhere in a scrape", async () => {
  const agentText = await makeAgentMetrics(() => agentStatus).render();
  const controllerText = await makeControllerMetrics(() => controllerStatus).render();
  assert.ok(!`${agentText}${controllerText}`.includes("slow-peer"));
});

test("metrics: the controller's series read from the fields they name", async () => {
  const series = lines(await makeControllerMetrics(() => controllerStatus).render());
  const cases: readonly (readonly [string, number])[] = [
    ['spindle_fleet_phase{phase="staging"}', 1],
    ['spindle_fleet_phase{phase="steady"}', 0],
    ['spindle_fleet_key_id{slot="target"}', 8],
    ["spindle_fleet_rotations_total", 3],
    ["spindle_fleet_nodes", 5],
    ["spindle_fleet_excluded", 1],
    ["spindle_fleet_stragglers", 2],
    ["spindle_fleet_conditions", 1],
    ["spindle_leader", 1],
    ['spindle_registry_writes_total{class="fleet"}', 4],
  ];
  for (const [name, value] of cases) assert.equal(valueOf(series, name), value, name);
});

for (const row of [...agentMetricRows, ...controllerMetricRows]) {
  test(`metrics: ${row.name} is named by the rule`, () => {
    assert.match(row.name, /^spindle_[a-z_]+$/);
    assert.equal(row.name.endsWith("_total"), row.kind === "counter");
  });
}

const reference = readFile("docs/reference/metrics.md");

for (const [section, rows] of [
  ["Agent", agentMetricRows],
  ["Controller", controllerMetricRows],
] as const) {
  test(`metrics: the reference page has a true row for each of the ${section.toLowerCase()}'s`, () => {
    const [, after = ""] = reference.split(`\n## ${section}\n`);
    const shown = (after.split("\n## ")[0] ?? "")
      .split("\n")
      .filter((line) => line.startsWith("| `"));
    const expected = rows.map(
      ({ name, kind, labels, help }) =>
        `| \`${name}\` | ${kind} | ${labels.join(", ")} | ${help} |`,
    );
    assert.deepEqual(shown, expected);
  });
}

test("metrics: in pairwise coordination a controller shows nothing of a fleet that it does not see", async () => {
  const shown = async (coordination: "barrier" | "pairwise"): Promise<readonly string[]> => {
    const series = lines(await makeControllerMetrics(() => ({ ...controllerStatus, coordination })).render());
    return [...new Set(series.map((line) => /^\w+/.exec(line)?.[0] ?? ""))];
  };
  assert.deepEqual(await shown("pairwise"), ["spindle_coordination", "spindle_registry_writes_total", "spindle_build_info"]);
  assert.deepEqual(await shown("barrier"), controllerMetricRows.map(({ name }) => name));
});
