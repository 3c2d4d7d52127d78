/**
 * What one real agent costs that has many peers: a registry with servers of its own, `spindle agent` as a process, one
 * whole rotation. Runs where the agent is to run: on the host, or in a guest with ESP.
 */
import { execFileSync, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, mkdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { connectRegistry } from "../../src/adapters/registry/connect.js";
import type { NodeName } from "../../src/core/node.js";
import type { AgentStatus } from "../../src/http/status.js";
import { KeyFiles } from "../../src/lab/fleet/key-files.js";
import { startServer, type LoadedRegistry } from "../../src/cli/loadtest/servers.js";
import { startController } from "../../src/cli/loadtest/run.js";
import { root } from "../../test/support/repository.js";
import { AgentProcess, type Memory } from "./agent-process.js";
import { admitEchoes, echoedRegistry, type Echo } from "./echoed-fleet.js";

export interface AgentPlan {
  readonly registry: LoadedRegistry;
  readonly peers: number;
  readonly dataplane: "kernel" | "userspace";
  /** Flags of Node.js for the agent: none, as users run it. */
  readonly nodeFlags: readonly string[];
}

export interface AgentFigures extends AgentPlan {
  readonly admittedMs: number;
  /** From the start of the process until it is at rest with all peers. */
  readonly startedMs: number;
  readonly settled: Memory;
  /** After a minute at rest. */
  readonly rested: Memory;
  /** Of one core, over that minute. */
  readonly steadyCpuShare: number;
  /** Processor time of the reading of the whole dataplane in that minute, which found nothing to do: the busiest second. */
  readonly busiestSecondMs: number;
  readonly rotationMs: number;
  readonly rotated: Memory;
  /** After another rest. */
  readonly restedAgain: Memory;
}

const restSeconds = 60;
const secondRestMs = 45_000;
const limitMs = 400_000;
const spindle = [process.execPath, join(root, "dist/src/cli/main.js")];
const name = "measured.example" as NodeName;
const ownAddress = "198.19.255.1";

export async function measureAgent(plan: AgentPlan, say: (doing: string) => void): Promise<AgentFigures> {
  const folder = mkdtempSync(join(tmpdir(), "spindle-bench-agent-"));
  const closers: (() => Promise<unknown> | void)[] = [() => rmSync(folder, { recursive: true, force: true })];
  try {
    return await measureIn(folder, plan, closers, say);
  } finally {
    for (const close of closers.reverse()) await close();
  }
}

async function measureIn(
  folder: string,
  plan: AgentPlan,
  closers: (() => Promise<unknown> | void)[],
  say: (doing: string) => void,
): Promise<AgentFigures> {
  const { peers } = plan;
  say("starting the registry");
  const server = await startServer(plan.registry, join(folder, "registry"), spindle);
  closers.push(server.stop);
  const registry = await connectRegistry(server.target);
  closers.push(() => registry.close());
  const dataplane = await openDataplane(plan, folder, closers);
  // On Kubernetes only a leader admits, so the controller campaigns before it knows whom it hears.
  const echoes: Echo[] = [];
  const seen = echoedRegistry(registry, new Set([name]), echoes);
  closers.push(startController({ coordination: "barrier" }, server.target, seen).stop);
  say("admitting peers");
  const admittedMs = await timed(async () => {
    const udpPort = plan.dataplane === "kernel" ? null : 4_500;
    echoes.push(...(await admitEchoes(registry, peers, udpPort)));
  });
  const own = join(folder, "agent");
  mkdirSync(own, { mode: 0o700 });
  const keys = new KeyFiles([join(own, "keys")]);
  await keys.create();
  closers.push(() => keys.wipe());
  say("starting the agent");
  const agent = new AgentProcess({ folder: own, name, target: server.target, ...dataplane }, plan.nodeFlags);
  closers.push(() => agent.stop());
  const startedMs = await timed(() => agent.until("settling", isAtRestOn(1, peers), limitMs));
  const settled = agent.memory();
  say("resting");
  const { cpuMs, busiestMs } = await rest(agent);
  const rested = agent.memory();
  say("rotating");
  const rotationMs = await timed(async () => {
    await keys.addNext();
    await agent.until("rotating", isAtRestOn(2, peers), limitMs);
  });
  await keys.dropOld();
  const rotated = agent.memory();
  await pause(secondRestMs);
  return {
    ...plan,
    admittedMs,
    startedMs,
    settled,
    rested,
    steadyCpuShare: cpuMs / (restSeconds * 1_000),
    busiestSecondMs: busiestMs,
    rotationMs,
    rotated,
    restedAgain: agent.memory(),
  };
}

function isAtRestOn(keyId: number, peers: number): (status: AgentStatus) => boolean {
  return ({ phase, keys, peers: { total, covered }, sas }) =>
    phase === "steady" && keys.current?.keyId === keyId && keys.next === null && keys.previous === null &&
    total === peers && covered === peers && sas.in === peers && sas.out === peers;
}

/** @returns processor time of the minute, and of its busiest second */
async function rest(agent: AgentProcess): Promise<{ readonly cpuMs: number; readonly busiestMs: number }> {
  const startMs = agent.cpuMs();
  let [beforeMs, busiestMs] = [startMs, 0];
  for (let second = 0; second < restSeconds; second += 1) {
    await pause(1_000);
    const nowMs = agent.cpuMs();
    busiestMs = Math.max(busiestMs, nowMs - beforeMs);
    beforeMs = nowMs;
  }
  return { cpuMs: beforeMs - startMs, busiestMs };
}

/** @returns the sections `node` and `dataplane` of the agent's configuration */
async function openDataplane(
  { dataplane }: AgentPlan,
  folder: string,
  closers: (() => Promise<unknown> | void)[],
): Promise<{ readonly node: object; readonly dataplane: object }> {
  if (dataplane === "kernel") {
    for (const words of ["link add own type dummy", `address add ${ownAddress}/32 dev own`, "link set own up"]) {
      execFileSync("ip", words.split(" "));
    }
    // Nobody is at the peers' addresses to answer a probe.
    return { node: { addresses: { ipv4: ownAddress } }, dataplane: { kind: "kernel", provePaths: false } };
  }
  const socket = join(folder, "dataplane.sock");
  const program = join(root, "dist/test/support/dataplane-process.js");
  const child = spawn(process.execPath, [program, "127.0.0.1", socket], { stdio: ["ignore", "pipe", "inherit"] });
  closers.push(() => endOf(child));
  const [udpPort] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  return { node: { addresses: { ipv4: "127.0.0.1" }, udpPort: Number(udpPort) }, dataplane: { socket } };
}

async function endOf(child: ChildProcess): Promise<void> {
  const closed = once(child, "close");
  child.kill("SIGTERM");
  await closed;
}

async function timed(run: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await run();
  return performance.now() - startMs;
}
