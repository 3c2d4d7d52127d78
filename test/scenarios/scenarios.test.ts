/**
 * Each named scenario: the field's behaviour fails as reported, ours holds, and the story is the one in `NAME.trace`,
 * byte for byte. `SCENARIOS_REWRITE=1 node --test dist/test/scenarios/scenarios.test.js` writes the stories, and the
 * table of docs/reference/scenarios.md, anew.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scenarios } from "../../src/sim/scenarios/catalogue.js";
import { withRulesOf, type Scenario } from "../../src/sim/scenarios/scenario.js";
import { summarise } from "../../src/sim/scenarios/outcome.js";
import { playRun, playScenario, tellScenario, type PlayedRun } from "../../src/sim/scenarios/run.js";
import { root } from "../support/repository.js";

const seed = 1;
const folder = join(root, "test/scenarios");
const isRewriting = process.env["SCENARIOS_REWRITE"] === "1";
const linesMax = 200;

const rows: string[] = [];

for (const scenario of scenarios) {
  test(`${scenario.name}: the old behaviour fails as reported, ours holds, the story is the known one`, () => {
    const played = playScenario(scenario, seed);
    const findings = played.flatMap(({ run, findings: found }) => found.map((what) => `${run.label}: ${what}`));
    assert.deepEqual(findings, []);
    rows.push(...played.map((one) => rowOf(scenario, one)));
    compareStory(scenario.name, tellScenario(scenario, played));
  });
}

function rowOf(scenario: Scenario, { run, outcome }: PlayedRun): string {
  const isFirst = scenario.runs[0] === run;
  const name = isFirst ? `\`${scenario.name}\`` : "";
  return `| ${name} | ${isFirst ? scenario.source : ""} | ${run.label} | ${run.rules} | ${summarise(outcome)} |`;
}

test("scenarios: docs/reference/scenarios.md shows what was measured", () => {
  const file = join(root, "docs/reference/scenarios.md");
  const text = readFileSync(file, "utf8");
  const head = "| scenario | reported as | run | rules | measured |\n| --- | --- | --- | --- | --- |";
  const [before, , after] = text.split(/^<!-- table -->$/m);
  const fresh = `${before}<!-- table -->\n${[head, ...rows].join("\n")}\n<!-- table -->${after}`;
  if (isRewriting) writeFileSync(file, fresh);
  assert.equal(fresh, readFileSync(file, "utf8"), "run with SCENARIOS_REWRITE=1 and read what changed");
});

function compareStory(name: string, story: string): void {
  const file = join(folder, `${name}.trace`);
  assert.ok(story.split("\n").length <= linesMax, `the story of ${name} has more than ${linesMax} lines`);
  if (isRewriting) writeFileSync(file, story);
  assert.ok(existsSync(file), `no ${name}.trace: run with SCENARIOS_REWRITE=1 and read what it wrote`);
  assert.equal(story, readFileSync(file, "utf8"), `${name} went otherwise than its trace says`);
}

test("scenarios: every one has a run that fails and a run that holds, and its own trace", () => {
  for (const { name, runs } of scenarios) {
    assert.ok(runs[0]?.label.startsWith("before") === true, `${name} begins with what happened in the field`);
    assert.ok(runs.slice(1).length > 0 && runs.slice(1).every(({ label }) => label.startsWith("after")), name);
  }
  const traces = readdirSync(folder).filter((file) => file.endsWith(".trace"));
  assert.deepEqual(traces.sort(), scenarios.map(({ name }) => `${name}.trace`).sort());
});

test("scenarios: old behaviour that is left out is missed: ours under the old script's expectations fails", () => {
  for (const { name, runs } of scenarios) {
    const [before, after] = runs;
    assert.ok(before !== undefined && after !== undefined);
    const { findings } = playRun(withRulesOf(before, after), seed);
    assert.notDeepEqual(findings, [], `${name}: what is expected of the old behaviour is met by ours`);
  }
});
