/**
 * Kill -9 of a hub, a site or an OpenVPN process at seeded moments of rotations under traffic. A dead program loses nothing; a dead
 * gateway costs what went through it, until the kernel and the sites have turned to the other pair, and no flow of the other pair.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { findProcesses } from "../../src/adapters/openvpn/processes.js";
import { makePrng } from "../../src/core/prng.js";
import { GatewayLab } from "../../src/lab/gateways/gateway-lab.js";
import { flowsCount, insideOf, type WorldSite } from "../../src/lab/gateways/world.js";
import { quietHost } from "./lab.js";

const targets = ["hub", "site a", "site b", "new gateway at a", "new gateway at b"] as const;
type Target = (typeof targets)[number];
const pairs = 2;
/** A rotation of two pairs takes about so long. */
const rotationMs = 12_000;
const retriesMax = 3;

/** One lab for all of them; each kill is in a rotation of its own. */
export async function runGatewayKills(seed: number, count: number): Promise<void> {
  const prng = makePrng(seed);
  const lab = await GatewayLab.create({ gateways: pairs, rotations: count, behaviour: "spindle", registry: "embedded", keep: false }, quietHost);
  try {
    await lab.start();
    for (let number = 0; number < count; number += 1) {
      const point = { target: targets[number % targets.length]!, afterMs: prng.below(rotationMs) };
      await runPoint(lab, point, `seed ${seed}, kill ${number + 1}: ${point.target} after ${point.afterMs} ms`);
    }
    const { traffic } = await lab.finish();
    assert.deepEqual(traffic.streamFailures, []);
  } finally {
    await lab.abandon();
  }
}

async function runPoint(lab: GatewayLab, point: { target: Target; afterMs: number }, words: string): Promise<void> {
  const rotation = lab.rotate();
  // It is awaited below; a failure before that is no stray one.
  rotation.catch(() => undefined);
  await wait(point.afterMs);
  const exposed = await kill(lab, point.target);
  let result = await rotation;
  for (let tries = 0; result.outcome !== "done" && tries < retriesMax; tries += 1) result = await lab.rotate();
  assert.equal(result.outcome, "done", words);
  const surprising = result.traffic.lostFlows.filter((flow) => !exposed.has(flow));
  assert.deepEqual(surprising, [], `${words}: flows that should not have lost`);
  await untilTidy(lab, words);
}

/** @returns the flows that may lose */
async function kill(lab: GatewayLab, target: Target): Promise<ReadonlySet<number>> {
  const { server, client } = lab.world;
  switch (target) {
    case "hub":
      return killProgram(lab, "hub-program");
    case "site a":
    case "site b":
      return killProgram(lab, `site-${target.at(-1)}-program`);
    case "new gateway at a":
      return killGateway(lab, server);
    case "new gateway at b":
      return killGateway(lab, client);
  }
}

function killProgram(lab: GatewayLab, name: string): ReadonlySet<number> {
  process.kill(Number(readFileSync(join(lab.directory, `${name}.pid`), "utf8")), "SIGKILL");
  return new Set();
}

/** The newest generation that runs at the site. */
async function killGateway(lab: GatewayLab, site: WorldSite): Promise<ReadonlySet<number>> {
  const gateways = (await findProcesses(join(lab.directory, `s-${site.name}`))).map(({ pid, configurationPath }) => {
    const [, pair, number] = /\/p(\d+)\.g(\d+)\//.exec(configurationPath)!;
    return { pid, pair: Number(pair), number: Number(number) };
  });
  const newest = gateways.reduce((one, other) => (other.number > one.number ? other : one));
  const exposed = new Set<number>();
  for (let flow = 0; flow < flowsCount; flow += 1) if (pairsOf(lab, flow).includes(newest.pair)) exposed.add(flow);
  process.kill(newest.pid, "SIGKILL");
  return exposed;
}

/** The pairs by which a flow's pings and their answers go. */
function pairsOf({ world: { server, client } }: GatewayLab, flow: number): readonly number[] {
  const [here, there] = [server.addresses[0]!, client.addresses[flow]!];
  return [pairOf(server, here, there), pairOf(client, there, here)];
}

function pairOf(site: WorldSite, from: string, to: string): number {
  const [, place] = /dev sg[0-9a-f]{8}-(\w+)/.exec(run(site, ["ip", "route", "get", to, "from", from]))!;
  return Math.floor(Number.parseInt(place!, 36) / 2);
}

/** Nothing but the gateways in use: no process, device, route or key file of any other. */
async function untilTidy(lab: GatewayLab, words: string): Promise<void> {
  const endMs = performance.now() + 30_000;
  let found = "";
  while (performance.now() < endMs) {
    found = [await leftovers(lab, lab.world.server), await leftovers(lab, lab.world.client)].join("; ");
    if (found === "; ") return;
    await wait(200);
  }
  assert.fail(`${words}: ${found}`);
}

async function leftovers({ directory }: GatewayLab, site: WorldSite): Promise<string> {
  const processes = (await findProcesses(join(directory, `s-${site.name}`))).length;
  const devices = run(site, ["ip", "-o", "link"]).match(/\bsg[0-9a-f]{8}-\w+/g)?.length ?? 0;
  const hops = run(site, ["ip", "route", "show", "proto", "83"]).match(/\bdev sg/g)?.length ?? 0;
  const folder = join(directory, `s-${site.name}`, "t", "a-b");
  const keys = readdirSync(folder).filter((name) => existsSync(join(folder, name, "key.pem"))).length;
  const counts = { processes, devices, hops, folders: readdirSync(folder).length, keys };
  const wrong = Object.entries(counts).filter(([, count]) => count !== pairs);
  return wrong.map(([what, count]) => `${site.name} has ${count} ${what}`).join(", ");
}

function run(site: WorldSite, words: readonly string[]): string {
  const [file = "", ...rest] = insideOf(site, words);
  return execFileSync(file, rest, { encoding: "utf8" });
}
