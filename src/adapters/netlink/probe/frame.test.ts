import assert from "node:assert/strict";
import { test } from "node:test";
import { answerTo, isAnswerTo, makeProbe, probeBytes } from "./frame.js";

test("probe: its answer is as long as it is, and that of no other probe", () => {
  const [probe, other] = [makeProbe(), makeProbe()];
  const answer = answerTo(probe);
  assert.ok(answer !== null);
  assert.equal(answer.length, probe.length);
  assert.ok(isAnswerTo(probe, answer));
  assert.ok(!isAnswerTo(other, answer));
  assert.ok(!isAnswerTo(probe, probe), "what comes back as it went is no answer");
});

const shapes: readonly (readonly [name: string, message: Uint8Array])[] = [
  ["nothing", new Uint8Array()],
  ["zeros", new Uint8Array(probeBytes)],
  ["a probe cut short", makeProbe().subarray(1)],
  ["a probe with more behind it", Buffer.concat([makeProbe(), Buffer.of(0)])],
  ["another mark", Buffer.concat([Buffer.from("spindle probe 2"), makeProbe().subarray(15)])],
  ["an answer", answerTo(makeProbe()) ?? Buffer.of()],
];

for (const [name, message] of shapes) {
  test(`probe: ${name} is not answered`, () => assert.equal(answerTo(message), null));
}
