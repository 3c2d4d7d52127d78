/** Recordings that are not whole, not equal, or none at all; made from one run of a simulated fleet. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { NodeName } from "../../src/core/node.js";
import { stepAgent } from "../../src/core/rotation/step.js";
import { stepController } from "../../src/core/fleet/step.js";
import { replayRecording, type ReplayResult } from "../../src/sim/replay/replay.js";
import { describeTurn } from "../../src/sim/replay/words.js";
import type { StepAgent } from "../../src/runtime/agent-loop.js";
import type { StepController } from "../../src/runtime/controller-loop.js";
import { testKey } from "../support/fleet-snapshot.js";
import { giveKeys, isOn, startFleet, waitFor } from "../sim/scripted.js";
import { makeRecordings, type Recordings } from "../support/sim-recordings.js";

interface Steps {
  /** Of node b. */
  readonly agent?: StepAgent;
  readonly controller?: StepController;
}

/** Two nodes rotate once; node a was killed and started again before. */
function recordRotation(steps: Steps = {}): Recordings["lines"] {
  const { lines, around } = makeRecordings();
  const { agent, controller } = steps;
  const chosen = { ...(agent && { step: (name: NodeName) => (name === "b" ? agent : undefined) }), ...(controller && { controllerStep: controller }) };
  const fleet = startFleet(around({ coordination: "barrier" as const, packetIntervalMs: 100, ...chosen }));
  fleet.killAgent("a" as NodeName);
  fleet.startAgent("a" as NodeName);
  for (const name of ["a", "b"]) giveKeys(fleet, name, 1, 2);
  waitFor(fleet, "rest on key 2", () => isOn(fleet, testKey(2)));
  return lines;
}

const recorded = recordRotation();
const agentLines = recorded.get("a") ?? [];
const controllerLines = recorded.get("controller-0") ?? [];
const secondRun = agentLines.findIndex((line, index) => index > 0 && line.startsWith('{"kind"'));
const someTurn = agentLines.findIndex((line, index) => index > 20 && line.includes('"turn":'));

function faultsOf({ faults }: ReplayResult): readonly string[] {
  return faults.map(({ kind, line }) => `${kind} ${line}`);
}

/** Steps for real, and asks the other step each time: in which turn, from 1, would it first do something else? */
function countTurnsUntilOther<S extends StepAgent | StepController>(real: S, other: S): { step: S; first: () => number | null } {
  let turns = 0;
  let found: number | null = null;
  type Step = (...given: readonly unknown[]) => { readonly effects: unknown; readonly wakeAtMs: unknown };
  const step: Step = (...given) => {
    turns += 1;
    const result = (real as unknown as Step)(...given);
    const also = (other as unknown as Step)(...given);
    const isSame = JSON.stringify(result.effects) === JSON.stringify(also.effects) && result.wakeAtMs === also.wakeAtMs;
    if (!isSame) found ??= turns;
    return result;
  };
  return { step: step as unknown as S, first: () => found };
}

const silentAgent: StepAgent = (state, observation, nowMs, options) => {
  const step = stepAgent(state, observation, nowMs, options);
  const holdsNext = observation.publishedReport?.holds.some(({ keyId }) => keyId === 2) === true;
  return holdsNext ? { ...step, effects: step.effects.filter(({ kind }) => kind !== "apply") } : step;
};

const hastyController: StepController = (state, observation, nowMs, options) => {
  const step = stepController(state, observation, nowMs, options);
  const effects = step.effects.map((effect) => {
    if (effect.kind !== "write-fleet" || effect.record.phase !== "staging") return effect;
    return { ...effect, record: { ...effect.record, phase: "staged" as const } };
  });
  return { ...step, effects };
};

test("replay: the recording of an agent with a restart, and of a controller, do the same again", () => {
  for (const lines of recorded.values()) {
    const { difference, faults } = replayRecording(lines);
    assert.deepEqual([difference, faults], [null, []]);
  }
  assert.equal(replayRecording(agentLines).runs.length, 2);
  assert.ok(secondRun > 0);
});

test("replay: another agent's step is found at the very turn in which it does something else", () => {
  const watched = countTurnsUntilOther(stepAgent, silentAgent);
  const lines = recordRotation({ agent: watched.step }).get("b") ?? [];
  const { difference, faults } = replayRecording(lines, { steps: { agent: silentAgent } });
  assert.ok(difference !== null);
  assert.deepEqual([difference.turn, faults], [watched.first(), []]);
  assert.match(difference.first.path, /^effects/);
  assert.match(JSON.stringify(difference.recorded?.effects), /"kind":"apply"/);
  assert.doesNotMatch(JSON.stringify(difference.did?.effects), /"kind":"apply"/);
});

test("replay: another controller's step is found at the very turn in which it does something else", () => {
  const watched = countTurnsUntilOther(stepController, hastyController);
  const lines = recordRotation({ controller: watched.step }).get("controller-0") ?? [];
  const { difference } = replayRecording(lines, { steps: { controller: hastyController } });
  assert.equal(difference?.turn, watched.first());
  assert.equal(difference?.first.path, "effects[0].record.phase");
  assert.deepEqual([difference?.first.recorded, difference?.first.replayed], ['"staging"', '"staged"']);
});

test("replay: a step that throws is a difference, also where the recorded program ended within the turn", () => {
  const throwing: StepAgent = (state, observation, nowMs, options) => {
    if (observation.publishedReport?.holds.some(({ keyId }) => keyId === 2) === true) throw new Error("settled");
    return stepAgent(state, observation, nowMs, options);
  };
  const { difference } = replayRecording(agentLines, { steps: { agent: throwing } });
  assert.match(difference?.thrown ?? "", /settled/);
  const crashed = agentLines.slice(0, difference?.line);
  assert.equal(replayRecording(crashed).difference, null, "this version does not throw there");
  const again = replayRecording(crashed, { steps: { agent: throwing } });
  assert.deepEqual([again.difference?.line, again.difference?.recorded], [difference?.line, null]);
});

test("replay: a changed effect is found with its place, what was recorded and what came before", () => {
  const index = agentLines.findIndex((line) => line.includes('"publish-report"'));
  const changed = agentLines.with(index, (agentLines[index] ?? "").replace(/"through":\d+/, '"through":77'));
  const { difference } = replayRecording(changed);
  assert.equal(difference?.line, index, "the turn's line, from 1, is the one before its outcome");
  assert.match(difference?.first.path ?? "", /^effects\[\d\]\.report\.through$/);
  assert.equal(difference?.first.recorded, "77");
  assert.ok((difference?.inputs.length ?? 0) > 0);
});

test("replay: a changed input is found at the first turn that it changes", () => {
  const index = agentLines.findIndex((line) => line.includes('"kind":"fleet"') && line.includes('"phase":"staging"'));
  const changed = agentLines.with(index, (agentLines[index] ?? "").replace('"phase":"staging"', '"phase":"steady"'));
  const { difference } = replayRecording(changed);
  assert.ok(index > 0 && difference !== null && difference.line > index);
});

const header = agentLines[0] ?? "";
const input = agentLines.find((line) => line.includes('"input":')) ?? "";
const ended = agentLines.findIndex((line) => line.includes('"end":'));

const faulty: readonly { name: string; lines: readonly string[]; faults: readonly string[] }[] = [
  { name: "an empty file", lines: [], faults: ["not-a-recording 0"] },
  { name: "an empty line", lines: [""], faults: ["not-a-recording 1"] },
  { name: "text", lines: ["root:x:0:0"], faults: ["not-a-recording 1"] },
  { name: "other JSON", lines: ['{"kind":"Secret"}'], faults: ["not-a-recording 1"] },
  { name: "a list", lines: ["[1]"], faults: ["not-a-recording 1"] },
  { name: "no header", lines: agentLines.slice(1), faults: ["not-a-recording 1"] },
  { name: "a later version", lines: [header.replace('"schemaVersion":1', '"schemaVersion":2')], faults: ["unknown-version 1"] },
  { name: "no version", lines: [header.replace('"schemaVersion":1,', "")], faults: ["unknown-version 1"] },
  { name: "another step", lines: [header.replace('"step":null', '"step":"hasty"')], faults: ["unknown-step 1"] },
  { name: "half a header", lines: [header.replace(/"durable".*/, '"nodes":7}')], faults: ["damaged 1"] },
  { name: "a cut-off header", lines: [header.slice(0, 100)], faults: ["not-a-recording 1"] },
  {
    name: "cut off at the end",
    lines: [...agentLines.slice(0, 40), (agentLines[40] ?? "").slice(0, 20)],
    faults: ["cut-off 41"],
  },
  {
    name: "the first run cut off, the second whole",
    lines: [...agentLines.slice(0, ended), input.slice(0, 30), ...agentLines.slice(secondRun)],
    faults: [`cut-off ${ended + 1}`],
  },
  { name: "cut off in the middle", lines: agentLines.with(20, "{"), faults: ["damaged 21"] },
  { name: "two broken lines", lines: agentLines.toSpliced(20, 2, "{", "{"), faults: ["damaged 21"] },
  { name: "an unknown line", lines: agentLines.with(20, '{"atMs":1,"note":"x"}'), faults: ["damaged 21"] },
  { name: "a line too few", lines: agentLines.toSpliced(someTurn + 1, 1), faults: [`damaged ${someTurn + 2}`] },
  { name: "an outcome too many", lines: agentLines.toSpliced(someTurn, 1), faults: [`damaged ${someTurn + 1}`] },
  { name: "lines after the end", lines: agentLines.toSpliced(ended + 1, 0, input), faults: [`damaged ${ended + 2}`] },
  {
    name: "an effect ends that nobody began",
    lines: [header, '{"atMs":1,"input":{"kind":"state-saved"}}'],
    faults: ["damaged 2"],
  },
  { name: "a listing of nothing", lines: [header, '{"atMs":1,"input":{"kind":"roster"}}'], faults: ["damaged 2"] },
];

for (const { name, lines, faults } of faulty) {
  test(`replay: ${name} is no whole recording, and is no difference`, () => {
    const result = replayRecording(lines);
    assert.deepEqual(faultsOf(result), faults);
    assert.equal(result.difference, null);
  });
}

test("replay: a run that just ends was killed, and is whole", () => {
  const { runs, faults } = replayRecording(controllerLines.filter((line) => !line.includes('"end":')));
  assert.deepEqual([faults, runs.map(({ end }) => end)], [[], ["killed"]]);
});

test("replay: up to a line, and each turn told in words", () => {
  const told: string[] = [];
  const { runs } = replayRecording(controllerLines, { untilLine: 60, told: (turn) => told.push(describeTurn(turn)) });
  assert.equal(told.length, controllerLines.slice(0, 60).filter((line) => line.startsWith('{"did"')).length);
  assert.equal(runs[0]?.inputs, controllerLines.slice(0, 60).filter((line) => line.includes('"input":')).length);
  for (const line of told) assert.match(line, /^\d+\.\d{3} ms {2}turn \d+ {2}.+ -> .+/);
});
