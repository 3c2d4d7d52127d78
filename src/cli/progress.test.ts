import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../test/support/manual-clock.js";
import { captureTerminal } from "../../test/support/terminal.js";
import { startProgress } from "./progress.js";

/** What a terminal shows after the text: only the sequences that the progress area uses. */
function screenAfter(text: string): readonly string[] {
  const rows: string[] = [""];
  for (const part of text.split(/(\u001b\[\d+F\u001b\[J|\n)/)) {
    const erased = /^\u001b\[(\d+)F/.exec(part)?.[1];
    if (part === "\n") rows.push("");
    else if (erased !== undefined) rows.splice(rows.length - 1 - Number(erased), Infinity, "");
    else rows[rows.length - 1] += part;
  }
  return rows.slice(0, -1);
}

test("progress: a terminal shows how things stand, in place", () => {
  const [stream, clock] = [captureTerminal(true), new ManualClock()];
  let lines = ["staging 1 of 5"];
  const progress = startProgress({ stream, clock, lines: () => lines });
  clock.advance(100);
  assert.deepEqual(screenAfter(stream.text()), ["staging 1 of 5"]);
  lines = ["staging 3 of 5", "  waiting for node-4"];
  clock.advance(100);
  assert.deepEqual(screenAfter(stream.text()), ["staging 3 of 5", "  waiting for node-4"]);
  lines = ["staged"];
  clock.advance(100);
  assert.deepEqual(screenAfter(stream.text()), ["staged"]);
  progress.stop();
});

test("progress: a terminal may be drawn more slowly, once it was drawn", () => {
  const [stream, clock] = [captureTerminal(true), new ManualClock()];
  let drawn = 0;
  const lines = (): readonly string[] => [`drawn ${(drawn += 1)}`];
  const progress = startProgress({ stream, clock, lines, redrawMs: 1_000 });
  clock.advance(100);
  assert.deepEqual(screenAfter(stream.text()), ["drawn 1"]);
  clock.advance(999);
  assert.deepEqual(screenAfter(stream.text()), ["drawn 1"]);
  clock.advance(1);
  assert.deepEqual(screenAfter(stream.text()), ["drawn 2"]);
  progress.stop();
});

test("progress: notes stay above the live area, which goes at the end", () => {
  const [stream, clock] = [captureTerminal(true), new ManualClock()];
  const progress = startProgress({ stream, clock, lines: () => ["live"] });
  clock.advance(100);
  progress.note("key 8 staged");
  assert.deepEqual(screenAfter(stream.text()), ["key 8 staged", "live"]);
  progress.note("key 8 switched");
  assert.deepEqual(screenAfter(stream.text()), ["key 8 staged", "key 8 switched", "live"]);
  progress.stop();
  progress.stop();
  assert.deepEqual(screenAfter(stream.text()), ["key 8 staged", "key 8 switched"]);
  assert.equal(clock.pending, 0);
});

test("progress: a line is cut before it would wrap", () => {
  const [stream, clock] = [captureTerminal(true, 10), new ManualClock()];
  const progress = startProgress({
    stream,
    clock,
    lines: () => ["\u001b[32m0123456789abc\u001b[39m", "012345678"],
  });
  clock.advance(100);
  assert.deepEqual(screenAfter(stream.text()), ["01234567…", "012345678"]);
  progress.stop();
});

test("progress: without a terminal there is a plain line every two seconds, if it changed", () => {
  const [stream, clock] = [captureTerminal(false), new ManualClock()];
  let lines = ["\u001b[32mstaging\u001b[39m 1 of 5", "  waiting for node-4"];
  const progress = startProgress({ stream, clock, lines: () => lines });
  clock.advance(1_999);
  assert.equal(stream.text(), "");
  clock.advance(1);
  clock.advance(2_000);
  assert.equal(stream.text(), "staging 1 of 5; waiting for node-4\n");
  lines = ["staged"];
  progress.note("a note");
  clock.advance(2_000);
  progress.stop();
  clock.advance(10_000);
  assert.equal(stream.text(), "staging 1 of 5; waiting for node-4\na note\nstaged\n");
});
