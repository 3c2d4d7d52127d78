/**
 * The operator's commands against real processes: a controller with its registry, and for each node
 * a dataplane and an agent.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test } from "node:test";
import type { MoveCheck, MoveResult } from "../../src/cli/operator/level-move.js";
import type { PreflightResult } from "../../src/cli/operator/preflight.js";
import type { RotationResult } from "../../src/cli/operator/rotation-result.js";
import type { FleetSummary } from "../../src/core/fleet/summary.js";
import {
  everybody,
  faultOf,
  makeKeys,
  offerNext,
  seeRequest,
  seeSteady,
  startFleet,
  startSteadyFleet,
  succeed,
} from "../support/operated-fleet.js";
import { outcomeOf, spawnSpindle, spindle } from "../support/process-fleet.js";

function parse<T>(text: string): T {
  return JSON.parse(text) as T;
}

test("operator: the first rotation and the next one leave their records", async (t) => {
  const fleet = await startFleet(t);
  await fleet.see(({ offered }) => offered?.nodes === 2);
  const before = await succeed(fleet.run("status"));
  assert.match(before.stdout, /^no key yet · 2 nodes\n\nkey 7 is offered by 2 of 2 nodes/);

  const first = parse<RotationResult>((await succeed(fleet.run("rotate --wait --json"))).stdout);
  assert.deepEqual([first.outcome, first.rotation, first.from, first.to], ["done", 1, null, 7]);

  await succeed(fleet.run("keyfile next", fleet.keys));
  fleet.processes.distribute(fleet.keys, everybody);
  await fleet.see(({ offered }) => offered?.nodes === 2);
  const next = await succeed(fleet.run("rotate --wait --json --reason", "yearly rotation"));
  const result = parse<RotationResult>(next.stdout);
  assert.deepEqual([result.outcome, result.rotation, result.from, result.to], ["done", 2, 7, 8]);
  assert.equal(result.record?.reason, "yearly rotation");
  assert.match(result.record?.by ?? "", /^[^@]+@.+$/);
  assert.deepEqual([result.record?.forcedRetires, result.record?.errors], [0, 0]);
  assert.deepEqual(
    result.record?.phases.map(({ phase }) => phase),
    ["staging", "staged", "draining", "steady"],
  );
  assert.match(next.stderr, /rotation 2 started/);

  const after = await succeed(fleet.run("status"));
  assert.match(after.stdout, /^steady on key 8 · 2 nodes · rotation 2 done .* ago, took .*\n$/);
  const all = parse<FleetSummary & { schemaVersion: number }>(
    (await succeed(fleet.run("status --all --json"))).stdout,
  );
  assert.equal(all.schemaVersion, 1);
  assert.deepEqual(
    all.rows.map(({ node, step, holds }) => [node, step, holds]),
    [
      ["node-1", "steady", [8]],
      ["node-2", "steady", [8]],
    ],
  );
  const agents = await succeed(
    spindle("status", "--config", fleet.processes.agentFile("node-1"), "--json"),
  );
  assert.equal(parse<FleetSummary>(agents.stdout).current?.keyId, 8);
});

test("operator: what cannot be done is refused, and leaves no request", async (t) => {
  const fleet = await startSteadyFleet(t);
  const abort = await fleet.run("abort --json");
  assert.deepEqual([abort.exitCode, faultOf(abort).code], [1, "REQUEST_REFUSED"]);
  assert.match(faultOf(abort).message, /no rotation is running/);
  const rotate = await fleet.run("rotate --json");
  assert.deepEqual([rotate.exitCode, faultOf(rotate).code], [1, "REQUEST_REFUSED"]);
  assert.match(faultOf(rotate).message, /no node offers a newer key/);
  await fleet.see(({ request }) => request === null);
});

test("operator: other bytes under a key id stop a rotation until the next id", async (t) => {
  const fleet = await startSteadyFleet(t);
  await offerNext(fleet, ["node-1"]);
  const other = join(fleet.processes.folder, "other");
  await makeKeys(other, 8);
  fleet.processes.distribute(other, ["node-2"]);
  await fleet.see(({ exceptions }) => exceptions.length > 0);
  const status = await succeed(fleet.run("status"));
  assert.match(
    status.stdout,
    /node-2 +key id 8 of node node-2 has other bytes than that of node-1/,
  );
  const rotate = await fleet.run("rotate --wait --json");
  assert.deepEqual([rotate.exitCode, faultOf(rotate).code], [1, "REQUEST_REFUSED"]);
  assert.match(faultOf(rotate).message, /key files disagree/);
  const dryRun = await fleet.run("rotate --dry-run --json");
  assert.equal(dryRun.exitCode, 1);
  assert.match(parse<PreflightResult>(dryRun.stdout).obstacles.join(), /other bytes/);
  const newer = await fleet.run("keyfile next", fleet.keys);
  assert.deepEqual([newer.exitCode, /KEYFILE_NOT_NEWEST/.test(newer.stderr)], [3, true]);
  await succeed(fleet.run("keyfile next --force", fleet.keys));
  fleet.processes.distribute(fleet.keys, everybody);
  await fleet.see(({ offered, exceptions }) => offered?.key.keyId === 9 && exceptions.length === 0);
  await succeed(fleet.run("rotate --wait"));
  await seeSteady(fleet, 9);
});

test("operator: a compromised key needs a confirmation, then goes at once", async (t) => {
  const fleet = await startSteadyFleet(t);
  await offerNext(fleet, everybody);
  const unconfirmed = await fleet.run("rotate --compromised --json");
  assert.deepEqual([unconfirmed.exitCode, faultOf(unconfirmed).code], [2, "CONFIRMATION_NEEDED"]);
  const confirmed = await succeed(fleet.run("rotate --compromised --yes --wait --json"));
  const result = parse<RotationResult>(confirmed.stdout);
  assert.deepEqual([result.outcome, result.from, result.to], ["done", 7, 8]);
  assert.equal(result.record?.emergency, true);
});

test("operator: interrupting --wait detaches; an abort takes the fleet back", async (t) => {
  const fleet = await startSteadyFleet(t);
  await offerNext(fleet, ["node-1"]);
  const child = spawnSpindle([
    "rotate",
    "--wait",
    "--json",
    "--config",
    fleet.processes.controllerFile,
  ]);
  const ending = outcomeOf(child);
  await fleet.see(({ phase, steps }) => phase === "staging" && steps.staged === 1);
  child.kill("SIGINT");
  const detached = await ending;
  assert.equal(detached.exitCode, 4);
  assert.equal(parse<RotationResult>(detached.stdout).outcome, "detached");

  const status = await succeed(fleet.run("status"));
  assert.match(status.stdout, /^staging key 7 → 8 · 1 of 2 nodes staged · rotation 2 · /);
  assert.match(status.stdout, /node-2 +its key file does not offer the key +\d+s/);
  const again = await fleet.run("rotate --json");
  assert.match(faultOf(again).message, /a rotation is running/);
  const timedOut = await fleet.run("rotate --wait --timeout 300ms --json");
  assert.equal(timedOut.exitCode, 4);
  assert.match(timedOut.stderr, /a rotation is running; following it/);

  const aborted = parse<RotationResult>((await succeed(fleet.run("abort --json"))).stdout);
  assert.deepEqual([aborted.outcome, aborted.rotation, aborted.from], ["aborted", 2, 7]);
  await seeSteady(fleet, 7);
});

test("operator: a rotation that somebody aborts ends --wait with exit 1", async (t) => {
  const fleet = await startSteadyFleet(t);
  await offerNext(fleet, ["node-1"]);
  const child = spawnSpindle([
    "rotate",
    "--wait",
    "--json",
    "--config",
    fleet.processes.controllerFile,
  ]);
  const ending = outcomeOf(child);
  await fleet.see(({ phase, steps }) => phase === "staging" && steps.staged === 1);
  await succeed(fleet.run("abort"));
  const ended = await ending;
  assert.equal(ended.exitCode, 1);
  assert.equal(parse<RotationResult>(ended.stdout).outcome, "aborted");
});

test("operator: --wait follows what started by itself, past a crash", async (t) => {
  const fleet = await startSteadyFleet(t, { start: "auto" });
  await offerNext(fleet, ["node-1"]);
  const child = spawnSpindle([
    "rotate",
    "--wait",
    "--json",
    "--config",
    fleet.processes.controllerFile,
  ]);
  const ending = outcomeOf(child);
  await once(child.stderr ?? child, "data");
  await fleet.processes.restartController({});
  fleet.processes.distribute(fleet.keys, everybody);
  const ended = await ending;
  assert.equal(ended.exitCode, 0, ended.stderr);
  const result = parse<RotationResult>(ended.stdout);
  assert.deepEqual(
    [result.outcome, result.to, result.record?.by],
    ["done", 8, "controller controller-1"],
  );
});

test("operator: what the pre-flight check refuses exits 3", async (t) => {
  const fleet = await startSteadyFleet(t);
  await offerNext(fleet, everybody);
  const fits = parse<PreflightResult>((await succeed(fleet.run("rotate --dry-run --json"))).stdout);
  assert.deepEqual([fits.fits, fits.from, fits.to, fits.offeredBy, fits.nodes], [true, 7, 8, 2, 2]);
  await fleet.processes.restartController({ stageDeadline: "50ms" });
  const dryRun = await fleet.run("rotate --dry-run --json");
  assert.equal(dryRun.exitCode, 3);
  assert.equal(parse<PreflightResult>(dryRun.stdout).fits, false);
  const refused = await fleet.run("rotate --json");
  assert.deepEqual([refused.exitCode, faultOf(refused).code], [3, "PREFLIGHT_REFUSED"]);
});

test("operator: a live node is removed only when confirmed, a dead one at once", async (t) => {
  const fleet = await startSteadyFleet(t);
  const list = await succeed(fleet.run("node list --json"));
  const { nodes } = parse<{ nodes: { name: string; lease: string }[] }>(list.stdout);
  assert.deepEqual(
    nodes.map(({ name, lease }) => [name, lease]),
    [
      ["node-1", "alive"],
      ["node-2", "alive"],
    ],
  );
  const alive = await fleet.run("node remove node-2 --json");
  assert.deepEqual([alive.exitCode, faultOf(alive).code], [2, "NODE_ALIVE"]);
  const unknown = await fleet.run("node remove node-3 --json");
  assert.deepEqual([unknown.exitCode, faultOf(unknown).code], [2, "NODE_UNKNOWN"]);
  fleet.processes.agents.get("node-2")?.kill("SIGKILL");
  await fleet.see(({ exceptions }) =>
    exceptions.some(({ why }) => why.includes("its lease ended")),
  );
  await succeed(fleet.run("node remove node-2"));
  await fleet.see((summary) => summary.nodes === 1 && summary.exceptions.length === 0);
});

test("operator: status --watch prints each change until it is interrupted", async (t) => {
  const fleet = await startSteadyFleet(t);
  const child = spawnSpindle([
    "status",
    "--watch",
    "--json",
    "--config",
    fleet.processes.controllerFile,
  ]);
  const ending = once(child, "close");
  const phases: string[] = [];
  const lines = createInterface({ input: child.stdout ?? assert.fail("no stdout") });
  const isOver = new Promise<void>((resolve) => {
    lines.on("line", (line) => {
      const { phase, current } = parse<FleetSummary>(line);
      if (phases.at(-1) !== phase) phases.push(phase);
      if (phase === "steady" && current?.keyId === 8) resolve();
    });
  });
  await once(lines, "line");
  await offerNext(fleet, everybody);
  await succeed(fleet.run("rotate"));
  await isOver;
  child.kill("SIGINT");
  assert.deepEqual(await ending, [0, null]);
  assert.deepEqual(phases, ["steady", "staging", "staged", "draining", "steady"]);
});

test("operator: pairwise, an emergency and an abort are standing orders", async (t) => {
  const fleet = await startSteadyFleet(t, { coordination: "pairwise" });
  const plain = await fleet.run("rotate --json");
  assert.deepEqual([plain.exitCode, faultOf(plain).code], [2, "PAIRWISE_NEEDS_NO_ORDER"]);
  const early = await fleet.run("rotate --compromised --yes --json");
  assert.deepEqual([early.exitCode, faultOf(early).code], [1, "REQUEST_REFUSED"]);

  await offerNext(fleet, ["node-1"]);
  const detached = await fleet.run("rotate --compromised --yes --wait --timeout 300ms --json");
  assert.equal(detached.exitCode, 4);
  assert.match((await succeed(fleet.run("status"))).stdout, /^emergency: staging key 7 → 8/);
  const pending = await fleet.run("abort --json");
  assert.deepEqual([pending.exitCode, faultOf(pending).code], [1, "REQUEST_PENDING"]);
  fleet.processes.distribute(fleet.keys, everybody);
  await seeSteady(fleet, 8);

  await offerNext(fleet, ["node-1"]);
  const aborted = parse<RotationResult>((await succeed(fleet.run("abort --json"))).stdout);
  assert.deepEqual(
    [aborted.outcome, aborted.rotation, aborted.from, aborted.to],
    ["aborted", null, 8, 9],
  );
  await fleet.see(({ phase, current }) => phase === "steady" && current?.keyId === 8);
  await seeRequest(fleet, false);
});

test("operator: a request that nobody has answered is withdrawn", async (t) => {
  // The controller of a pairwise fleet keeps the registry and answers nobody.
  const fleet = await startSteadyFleet(t, { coordination: "pairwise" });
  const barrier = join(fleet.processes.folder, "barrier.yaml");
  const lines = [
    "schemaVersion: 1",
    "name: other",
    "stateDir: other",
    "registry: { connect: { socket: registry.sock } }",
  ];
  writeFileSync(barrier, `${lines.join("\n")}\n`);
  const child = spawnSpindle(["rotate", "--json", "--config", barrier]);
  const ending = outcomeOf(child);
  await seeRequest(fleet, true);
  child.kill("SIGINT");
  const ended = await ending;
  assert.deepEqual([ended.exitCode, faultOf(ended).code], [1, "REQUEST_WITHDRAWN"]);
  await seeRequest(fleet, false);
});

test("operator: a silent registry is told within seconds", async (t) => {
  const fleet = await startFleet(t);
  const ended = once(fleet.processes.controller, "close");
  fleet.processes.controller.kill("SIGKILL");
  await ended;
  const { exitCode, stderr } = await fleet.run("status");
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^error REGISTRY_UNREACHABLE: .*registry\.sock did not answer within 3 s: connect ECONNREFUSED/,
  );
  assert.match(stderr, /the address is from .*controller\.yaml\nhint: check that the controller/);
});

test("operator: a level is adopted, held up by name, and taken back", async (t) => {
  const fleet = await startSteadyFleet(t);
  const unknown = await succeed(fleet.run("level prefer --dry-run --json"));
  assert.deepEqual(parse<MoveCheck>(unknown.stdout).way, null);
  const first = parse<MoveResult>((await succeed(fleet.run("level require --wait --json"))).stdout);
  assert.deepEqual([first.outcome, first.level], ["done", "require"]);
  assert.match((await succeed(fleet.run("status"))).stdout, /2 nodes · level require · /);
  const way = await succeed(fleet.run("level off --dry-run"));
  assert.equal(way.stdout, "require → prefer → accept → off\n");

  // The userspace dataplane has no other level, and says so.
  const held = await fleet.run("level prefer --wait --timeout 1s --reason", "to see who holds it up");
  assert.equal(held.exitCode, 4);
  assert.match(held.stdout, /the fleet is at prefer\nnode-1 has not applied level prefer\nnode-2 has not/);
  await succeed(fleet.run("level require --wait"));
});

test("operator: a level that there is not, and one in pairwise coordination, are input errors", async (t) => {
  const fleet = await startSteadyFleet(t, { coordination: "pairwise" });
  assert.equal((await fleet.run("level strict")).exitCode, 2);
  const refused = await fleet.run("level prefer --json");
  assert.deepEqual([refused.exitCode, faultOf(refused).code], [2, "LEVEL_NEEDS_BARRIER"]);
});
