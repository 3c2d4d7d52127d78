/**
 * A whole fleet on the kernel's dataplane: agents as processes in namespaces of their own, traffic
 * between all pairs. One fleet goes through all cases, each of which leaves it whole.
 */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connectEmbedded } from "../../../src/adapters/registry/embedded/open.js";
import { systemClock } from "../../../src/adapters/system/clock.js";
import type { NodeName } from "../../../src/core/node.js";
import type { Lab } from "../../../src/lab/lab.js";
import { addressesOf } from "../../../src/lab/network/switch.js";
import type { LabOptions } from "../../../src/lab/options.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import {
  assertHitlessSince,
  countEntries,
  entriesAtRest,
  listSas,
  lossesSince,
  makeWhole,
  rotateWhole,
  startKernelLab,
  until,
  whenIn,
} from "../../support/kernel-lab.js";

/** The one whose staging takes longer, so that a kill finds it staging. */
const slowNodeMs = 1_000;

type FleetCase = (lab: Lab) => Promise<void>;

function slowOf({ slowNode }: Lab): number {
  assert.ok(slowNode !== null);
  return slowNode;
}

async function rotates(lab: Lab): Promise<void> {
  const sinceMs = systemClock.nowMs();
  await rotateWhole(lab);
  await assertHitlessSince(lab, sinceMs);
  assert.deepEqual(countEntries(lab), entriesAtRest);
}

/** Its SAs and policies stay in the kernel, and its successor adopts them. */
function killedIn(phase: "staging" | "draining"): FleetCase {
  return async (lab) => {
    const sinceMs = systemClock.nowMs();
    const node = slowOf(lab);
    const before = lab.view.report(node)?.incarnationId;
    const killed = whenIn(lab, node, phase, () => lab.killAgent(node));
    await rotateWhole(lab);
    assert.ok(await killed(), `the node was never ${phase}`);
    await assertHitlessSince(lab, sinceMs);
    assert.equal(lab.view.report(node)?.incarnationId, before);
    assert.deepEqual(countEntries(lab), entriesAtRest);
  };
}

/** All its SAs and policies are gone: nobody may go on with the old ones. */
async function reboots(lab: Lab): Promise<void> {
  const sinceMs = systemClock.nowMs();
  const before = lab.view.report(0)?.incarnationId;
  await lab.killDataplane(0);
  await until(() => lab.view.report(0)?.incarnationId !== before);
  await makeWhole(lab);
  const { lost, excused } = await lossesSince(lab, sinceMs);
  assert.deepEqual(lost, []);
  assert.ok(excused > 0, "a node was down and nobody noticed");
  assert.deepEqual(countEntries(lab), entriesAtRest);
  const wholeMs = systemClock.nowMs();
  await rotateWhole(lab);
  await assertHitlessSince(lab, wholeMs);
}

/** The agent knows only what is in the kernel until the file can be read again. */
async function keyFileBreaks(lab: Lab): Promise<void> {
  const sinceMs = systemClock.nowMs();
  const { keyFile } = lab.nodes[1]!.layout;
  const text = readFileSync(keyFile);
  writeFileSync(keyFile, "3+ no key at all\n");
  await lab.killAgent(1);
  await lab.rest(2_000);
  await assertHitlessSince(lab, sinceMs);
  writeFileSync(keyFile, text);
  await makeWhole(lab);
  await rotateWhole(lab);
  await assertHitlessSince(lab, sinceMs);
  assert.deepEqual(countEntries(lab), entriesAtRest);
}

async function manyLeaveAsMuchAsOne(lab: Lab, rotations: number): Promise<void> {
  const sinceMs = systemClock.nowMs();
  for (let count = 0; count < rotations; count += 1) await rotateWhole(lab);
  await assertHitlessSince(lab, sinceMs);
  assert.deepEqual(countEntries(lab), entriesAtRest);
}

/**
 * Node-3 leaves while node-1's agent is down, and a new node comes with node-3's address. Node-1
 * must take away what it has for the old one, and nothing of the new one.
 */
async function addressIsRecycled(lab: Lab): Promise<void> {
  const [first, , third] = lab.nodes;
  assert.ok(first !== undefined && third !== undefined);
  const stale = spisFrom(lab, third.node);
  await first.agent.takeDown();
  await third.agent.takeDown();
  await remove(lab, third.name as NodeName);
  const { config, stateDir } = third.layout;
  rmSync(stateDir, { recursive: true });
  assert.ok(!existsSync(stateDir));
  writeFileSync(config, readFileSync(config, "utf8").replace('"name": "node-3"', '"name": "newcomer"'));
  third.dataplane.reboot();
  third.agent.start();
  await lab.rest(1_000);
  first.agent.start();
  const startedMs = systemClock.nowMs();
  await until(() => lab.ledger.pairsAlive(startedMs) === lab.openPairs.all);
  await until(() => countEntries(lab).join() === entriesAtRest.join());
  const left = spisFrom(lab, third.node).filter((spi) => stale.includes(spi));
  assert.deepEqual(left, [], "no SA of the departed node");
  // What the kernels counted of the last packets to the departed node is read by then.
  await lab.rest(500);
  const wholeMs = systemClock.nowMs();
  await lab.rest(1_000);
  await assertHitlessSince(lab, wholeMs);
}

/** SPIs under which node-1 receives from a node's address. */
function spisFrom(lab: Lab, node: number): readonly string[] {
  const from = addressesOf(node)[lab.options.ipv6 ? "ipv6" : "ipv4"];
  return listSas(lab, 0).flatMap(({ source, spi }) => (source === from ? [spi] : []));
}

async function remove({ layout }: Lab, name: NodeName): Promise<void> {
  const { registry } = connectEmbedded({ address: { kind: "unix", path: layout.registrySocket } });
  await new Promise<void>((resolve, reject) =>
    registry.remove(name, (result) => (result.ok ? resolve() : reject(new Error(result.error.code)))),
  );
  registry.close();
}

/** Cases that share one fleet, from its start to its end. */
export function fleetCases(overrides: Partial<LabOptions>, rotations: number): readonly KernelCase[] {
  let lab: Lab | null = null;
  const within = (run: FleetCase) => async () => {
    assert.ok(lab !== null, "the fleet was started");
    await run(lab);
  };
  return [
    {
      name: "a fleet starts, and its pairs exchange packets",
      run: async () => {
        lab = await startKernelLab({ slowNodeMs, ...overrides });
      },
    },
    { name: "a rotation loses nothing and leaves one key", run: within(rotates) },
    { name: "kill -9 of an agent while it stages loses nothing", run: within(killedIn("staging")) },
    { name: "kill -9 of an agent while it drains loses nothing", run: within(killedIn("draining")) },
    { name: "a node that reboots is a new incarnation, and is whole again", run: within(reboots) },
    { name: "a broken key file stops nothing, and is taken up when mended", run: within(keyFileBreaks) },
    {
      name: `${rotations} rotations leave as many SAs and policies as one`,
      run: within((one) => manyLeaveAsMuchAsOne(one, rotations)),
    },
    { name: "a departed node's address serves a new one", run: within(addressIsRecycled) },
    { name: "the fleet stops", run: within((one) => one.abandon()) },
  ];
}
