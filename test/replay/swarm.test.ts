/** Whatever a swarm run did to its programs, each recording replays without a difference. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { replayRecording } from "../../src/sim/replay/replay.js";
import { runSwarmSeed } from "../../src/sim/swarm/swarm-seed.js";
import { makeRecordings } from "../support/sim-recordings.js";

const seeds = Array.from({ length: 20 }, (_, index) => 1_000 + index);

for (const seed of seeds) {
  test(`replay: every recording of swarm seed ${seed} does the same again`, () => {
    const { lines, options } = makeRecordings();
    runSwarmSeed(seed, { changes: options });
    assert.ok(lines.size > 1);
    for (const [name, recorded] of lines) {
      const { difference, faults, runs } = replayRecording(recorded);
      const turns = runs.reduce((sum, run) => sum + run.turns, 0);
      assert.deepEqual({ name, faults, first: difference?.first ?? null }, { name, faults: [], first: null });
      assert.ok(turns > 0, name);
    }
  });
}
