/** Whatever a swarm run or a scenario does to its programs, each recording does the same again. */
import { test } from "node:test";
import { scenarios } from "../../src/sim/scenarios/catalogue.js";
import { playRun } from "../../src/sim/scenarios/run.js";
import { runSwarmSeed } from "../../src/sim/swarm/swarm-seed.js";
import { assertSameAgain, makeRecordings } from "../support/sim-recordings.js";

const seeds = Array.from({ length: 20 }, (_, index) => 1_000 + index);

for (const seed of seeds) {
  test(`replay: every program of swarm seed ${seed} does the same again`, () => {
    const recordings = makeRecordings();
    runSwarmSeed(seed, { changes: recordings.around({}) });
    assertSameAgain(recordings);
  });
}

/** A behaviour of the field in place of a step is no step of ours; hubs and sites of gateways are not recorded. */
const ours = scenarios.flatMap(({ name, runs }) => {
  const fleetRuns = runs.flatMap((run) => ("play" in run ? [] : [run]));
  const own = fleetRuns.filter(({ options }) => options().step === undefined && options().controllerStep === undefined);
  return own.map((run) => ({ name, run }));
});

for (const { name, run } of ours) {
  test(`replay: every program of ${name} (${run.label}) does the same again`, () => {
    const recordings = makeRecordings();
    playRun({ ...run, options: () => recordings.around(run.options()) }, 1);
    assertSameAgain(recordings);
  });
}
