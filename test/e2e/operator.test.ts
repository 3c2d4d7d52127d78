/**
 * The operator's commands against real processes: a controller with its registry, and for each node a dataplane and an
 * agent. What must have happened before the next step is waited for in the registry, never by time.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { addNextKey, generateKeyFile } from "../../src/cli/keyfile-operations.js";
import { FleetWatch } from "../../src/cli/operator/fleet-watch.js";
import { findFleet } from "../../src/cli/operator/place.js";
import type { PreflightResult } from "../../src/cli/operator/preflight.js";
import { makeRequest } from "../../src/cli/operator/request.js";
import type { RotationResult } from "../../src/cli/operator/rotation-result.js";
import { waitUntil } from "../../src/cli/operator/wait.js";
import { summarizeFleet, type FleetSummary } from "../../src/core/fleet/summary.js";
import type { KeyId } from "../../src/core/key-id.js";
import {
  outcomeOf,
  spawnSpindle,
  spindle,
  startProcessFleet,
  type Outcome,
  type ProcessFleet,
  type ProcessFleetOptions,
} from "../support/process-fleet.js";

interface TestFleet extends ProcessFleet {
  /** The key file that is extended and distributed. */
  readonly keys: string;
  readonly watch: FleetWatch;
  run(command: string, ...flags: string[]): Promise<Outcome>;
  /** Waits until the summary is as wanted. */
  see(wanted: (summary: FleetSummary) => boolean): Promise<FleetSummary>;
}

const seeWithinMs = 30_000;

/** A fleet with key 7 in all key files. */
async function startFleet(
  context: TestContext,
  options: Partial<ProcessFleetOptions> = {},
): Promise<TestFleet> {
  const fleet = await startProcessFleet(context, { nodes: 2, ...options });
  const keys = join(fleet.folder, "keys");
  await makeKeys(keys, 7);
  fleet.distribute(keys);
  const watch = new FleetWatch(await findFleet(fleet.controllerFile, {}));
  context.after(() => watch.close());
  const summary = (): FleetSummary => summarizeFleet(watch.snapshot());
  return Object.assign(fleet, {
    keys,
    watch,
    run: (command: string, ...flags: string[]) =>
      spindle(...command.split(" "), ...flags, "--config", fleet.controllerFile),
    see: async (wanted: (summary: FleetSummary) => boolean) => {
      const check = (): FleetSummary | null =>
        watch.isWhole && wanted(summary()) ? summary() : null;
      const refreshing = setInterval(() => watch.refresh(), 200);
      const waited = await waitUntil(watch, check, { timeoutMs: seeWithinMs });
      clearInterval(refreshing);
      if (waited.kind === "reached") return waited.value;
      return assert.fail(`not seen: ${wanted.toString()}\n${JSON.stringify(summary(), null, 2)}`);
    },
  });
}

async function makeKeys(path: string, keyId: number): Promise<void> {
  const algorithm = "aes-gcm-128";
  await generateKeyFile({ path, keyId: keyId as KeyId, algorithm, force: true });
}

async function succeed(running: Promise<Outcome>): Promise<Outcome> {
  const outcome = await running;
  assert.equal(outcome.exitCode, 0, outcome.stderr);
  return outcome;
}

/** The fleet runs its first key. */
async function startSteadyFleet(
  context: TestContext,
  options: Partial<ProcessFleetOptions> = {},
): Promise<TestFleet> {
  const fleet = await startFleet(context, options);
  if (options.coordination !== "pairwise" && options.start !== "auto") {
    await fleet.see(({ offered }) => offered?.nodes === 2);
    const order = { kind: "rotate", reason: "first key", compromised: null, abort: null } as const;
    await fleet.watch.putRequest(makeRequest(order));
  }
  await seeSteady(fleet, 7);
  return fleet;
}

async function seeSteady(fleet: TestFleet, keyId: number): Promise<void> {
  await fleet.see(({ phase, current, request, exceptions, nodes }) => {
    const isCalm = phase === "steady" && request === null && exceptions.length === 0;
    return isCalm && nodes === 2 && current?.keyId === keyId;
  });
}

/** Makes the next key and gives it to the nodes; waits until they offer it. */
async function offerNext(fleet: TestFleet, nodes: readonly string[]): Promise<void> {
  const { keys: path } = fleet;
  await addNextKey({
    path,
    ring: 255,
    algorithm: null,
    force: false,
    fleetKey: () => Promise.resolve(null),
  });
  fleet.distribute(path, nodes);
  await fleet.see(({ offered, target }) => target !== null || offered?.nodes === nodes.length);
}

const everybody = ["node-1", "node-2"];

function parse<T>(text: string): T {
  return JSON.parse(text) as T;
}

function errorOf({ stderr }: Outcome): { readonly code: string; readonly message: string } {
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  return parse<{ error: { code: string; message: string } }>(last).error;
}

test("operator: the first rotation and the next one, to the end, with their records", async (context) => {
  const fleet = await startFleet(context);
  await fleet.see(({ offered }) => offered?.nodes === 2);
  const before = await succeed(fleet.run("status"));
  assert.match(before.stdout, /^no key yet · 2 nodes\n\nkey 7 is offered by 2 of 2 nodes/);

  const first = parse<RotationResult>((await succeed(fleet.run("rotate --wait --json"))).stdout);
  assert.deepEqual([first.outcome, first.rotation, first.from, first.to], ["done", 1, null, 7]);

  await succeed(fleet.run("keyfile next", fleet.keys));
  fleet.distribute(fleet.keys);
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
  const agents = await succeed(spindle("status", "--config", fleet.agentFile("node-1"), "--json"));
  assert.equal(parse<FleetSummary>(agents.stdout).current?.keyId, 8);
});

test("operator: what cannot be done is refused with its reason, and leaves no request behind", async (context) => {
  const fleet = await startSteadyFleet(context);
  const abort = await fleet.run("abort --json");
  assert.deepEqual([abort.exitCode, errorOf(abort).code], [1, "REQUEST_REFUSED"]);
  assert.match(errorOf(abort).message, /no rotation is running/);
  const rotate = await fleet.run("rotate --json");
  assert.deepEqual([rotate.exitCode, errorOf(rotate).code], [1, "REQUEST_REFUSED"]);
  assert.match(errorOf(rotate).message, /no node offers a newer key/);
  await fleet.see(({ request }) => request === null);
});

test("operator: a key file with other bytes is named, and nothing starts until the next id mends it", async (context) => {
  const fleet = await startSteadyFleet(context);
  await offerNext(fleet, ["node-1"]);
  const other = join(fleet.folder, "other");
  await makeKeys(other, 8);
  fleet.distribute(other, ["node-2"]);
  await fleet.see(({ exceptions }) => exceptions.length > 0);
  const status = await succeed(fleet.run("status"));
  assert.match(
    status.stdout,
    /node-2 +key id 8 of node node-2 has other bytes than that of node-1/,
  );
  const rotate = await fleet.run("rotate --wait --json");
  assert.deepEqual([rotate.exitCode, errorOf(rotate).code], [1, "REQUEST_REFUSED"]);
  assert.match(errorOf(rotate).message, /key files disagree/);
  const dryRun = await fleet.run("rotate --dry-run --json");
  assert.equal(dryRun.exitCode, 1);
  assert.match(parse<PreflightResult>(dryRun.stdout).obstacles.join(), /other bytes/);
  const newer = await fleet.run("keyfile next", fleet.keys);
  assert.deepEqual([newer.exitCode, /KEYFILE_NOT_NEWEST/.test(newer.stderr)], [3, true]);
  await succeed(fleet.run("keyfile next --force", fleet.keys));
  fleet.distribute(fleet.keys);
  await fleet.see(({ offered, exceptions }) => offered?.key.keyId === 9 && exceptions.length === 0);
  await succeed(fleet.run("rotate --wait"));
  await seeSteady(fleet, 9);
});

test("operator: a compromised key needs a confirmation, and then goes in an emergency rotation", async (context) => {
  const fleet = await startSteadyFleet(context);
  await offerNext(fleet, everybody);
  const unconfirmed = await fleet.run("rotate --compromised --json");
  assert.deepEqual([unconfirmed.exitCode, errorOf(unconfirmed).code], [2, "CONFIRMATION_NEEDED"]);
  const confirmed = await succeed(fleet.run("rotate --compromised --yes --wait --json"));
  const result = parse<RotationResult>(confirmed.stdout);
  assert.deepEqual([result.outcome, result.from, result.to], ["done", 7, 8]);
  assert.equal(result.record?.emergency, true);
});

test("operator: interrupting --wait detaches, the rotation goes on, and an abort takes it back", async (context) => {
  const fleet = await startSteadyFleet(context);
  await offerNext(fleet, ["node-1"]);
  const child = spawnSpindle(["rotate", "--wait", "--json", "--config", fleet.controllerFile]);
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
  assert.match(errorOf(again).message, /a rotation is running/);
  const timedOut = await fleet.run("rotate --wait --timeout 300ms --json");
  assert.equal(timedOut.exitCode, 4);
  assert.match(timedOut.stderr, /a rotation is running; following it/);

  const aborted = parse<RotationResult>((await succeed(fleet.run("abort --json"))).stdout);
  assert.deepEqual([aborted.outcome, aborted.rotation, aborted.from], ["aborted", 2, 7]);
  await seeSteady(fleet, 7);
});

test("operator: a rotation that somebody aborts ends --wait with exit 1", async (context) => {
  const fleet = await startSteadyFleet(context);
  await offerNext(fleet, ["node-1"]);
  const child = spawnSpindle(["rotate", "--wait", "--json", "--config", fleet.controllerFile]);
  const ending = outcomeOf(child);
  await fleet.see(({ phase, steps }) => phase === "staging" && steps.staged === 1);
  await succeed(fleet.run("abort"));
  const ended = await ending;
  assert.equal(ended.exitCode, 1);
  assert.equal(parse<RotationResult>(ended.stdout).outcome, "aborted");
});

test("operator: --wait outlives the controller, and follows a rotation that started by itself", async (context) => {
  const fleet = await startSteadyFleet(context, { start: "auto" });
  await offerNext(fleet, ["node-1"]);
  const child = spawnSpindle(["rotate", "--wait", "--json", "--config", fleet.controllerFile]);
  const ending = outcomeOf(child);
  await once(child.stderr ?? child, "data");
  await fleet.restartController({});
  fleet.distribute(fleet.keys);
  const ended = await ending;
  assert.equal(ended.exitCode, 0, ended.stderr);
  const result = parse<RotationResult>(ended.stdout);
  assert.deepEqual(
    [result.outcome, result.to, result.record?.by],
    ["done", 8, "controller controller-1"],
  );
});

test("operator: what the pre-flight check refuses exits 3, before and when it is asked for", async (context) => {
  const fleet = await startSteadyFleet(context);
  await offerNext(fleet, everybody);
  const fits = parse<PreflightResult>((await succeed(fleet.run("rotate --dry-run --json"))).stdout);
  assert.deepEqual([fits.fits, fits.from, fits.to, fits.offeredBy, fits.nodes], [true, 7, 8, 2, 2]);
  await fleet.restartController({ stageDeadline: "50ms" });
  const dryRun = await fleet.run("rotate --dry-run --json");
  assert.equal(dryRun.exitCode, 3);
  assert.equal(parse<PreflightResult>(dryRun.stdout).fits, false);
  const refused = await fleet.run("rotate --json");
  assert.deepEqual([refused.exitCode, errorOf(refused).code], [3, "PREFLIGHT_REFUSED"]);
});

test("operator: a node that is alive is removed only when confirmed, a dead one at once", async (context) => {
  const fleet = await startSteadyFleet(context);
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
  assert.deepEqual([alive.exitCode, errorOf(alive).code], [2, "NODE_ALIVE"]);
  const unknown = await fleet.run("node remove node-3 --json");
  assert.deepEqual([unknown.exitCode, errorOf(unknown).code], [2, "NODE_UNKNOWN"]);
  fleet.agents.get("node-2")?.kill("SIGKILL");
  await fleet.see(({ exceptions }) =>
    exceptions.some(({ why }) => why.includes("its lease ended")),
  );
  await succeed(fleet.run("node remove node-2"));
  await fleet.see((summary) => summary.nodes === 1 && summary.exceptions.length === 0);
});

test("operator: status --watch prints one document for each change until it is interrupted", async (context) => {
  const fleet = await startSteadyFleet(context);
  const child = spawnSpindle(["status", "--watch", "--json", "--config", fleet.controllerFile]);
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

test("operator: pairwise, agents start by themselves; an emergency and an abort are standing orders", async (context) => {
  const fleet = await startSteadyFleet(context, { coordination: "pairwise" });
  const plain = await fleet.run("rotate --json");
  assert.deepEqual([plain.exitCode, errorOf(plain).code], [2, "PAIRWISE_NEEDS_NO_ORDER"]);
  const early = await fleet.run("rotate --compromised --yes --json");
  assert.deepEqual([early.exitCode, errorOf(early).code], [1, "REQUEST_REFUSED"]);

  await offerNext(fleet, ["node-1"]);
  const detached = await fleet.run("rotate --compromised --yes --wait --timeout 300ms --json");
  assert.equal(detached.exitCode, 4);
  assert.match((await succeed(fleet.run("status"))).stdout, /^emergency: staging key 7 → 8/);
  const pending = await fleet.run("abort --json");
  assert.deepEqual([pending.exitCode, errorOf(pending).code], [1, "REQUEST_PENDING"]);
  fleet.distribute(fleet.keys);
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

test("operator: a request that is interrupted before anybody answered is withdrawn", async (context) => {
  // Its controller keeps the registry and answers nothing, as the fleet is pairwise; the agent's file says barrier.
  const fleet = await startSteadyFleet(context, { coordination: "pairwise" });
  const barrier = join(fleet.folder, "barrier.yaml");
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
  assert.deepEqual([ended.exitCode, errorOf(ended).code], [1, "REQUEST_WITHDRAWN"]);
  await seeRequest(fleet, false);
});

/** Also of a request that a summary of this fleet would not show. */
async function seeRequest({ watch }: TestFleet, isThere: boolean): Promise<void> {
  const check = (): true | null => ((watch.request !== null) === isThere ? true : null);
  const waited = await waitUntil(watch, check, { timeoutMs: seeWithinMs });
  assert.equal(waited.kind, "reached");
}

test("operator: a registry that does not answer is said within seconds, with what to check", async (context) => {
  const fleet = await startFleet(context);
  const ended = once(fleet.controller, "close");
  fleet.controller.kill("SIGKILL");
  await ended;
  const { exitCode, stderr } = await fleet.run("status");
  assert.equal(exitCode, 1);
  assert.match(
    stderr,
    /^error REGISTRY_UNREACHABLE: the registry at .*registry\.sock did not answer within 3 s: connect ECONNREFUSED/,
  );
  assert.match(stderr, /the address is from .*controller\.yaml\nhint: check that the controller/);
});
