/**
 * One `spindle agent` with 5,000 peers on each kind of registry: resident memory, processor time at rest, reading all back.
 * `npm run bench agent [REGISTRY [PEERS [userspace]]]`. The agent runs on a kernel with ESP; with `userspace` on this host.
 */
import { fileURLToPath } from "node:url";
import { kubeApiServerPath } from "../src/lab/servers/kubernetes.js";
import type { LoadedRegistry } from "../src/cli/loadtest/servers.js";
import { findKernelHost, runInKernel } from "../test/support/kernel-host.js";
import { measureAgent, type AgentFigures, type AgentPlan } from "./agent/measure-agent.js";

const residentMbMax = 150;
const cpuShareMax = 0.01;
const timeoutMs = 580_000;
/** Registry, controller and agent are in the guest. */
const memoryMib = 4_096;

const [wanted = "all", peers = "5000", where = "kernel", ...nodeFlags] = process.argv.slice(2);
const registries = (["embedded", "etcd", "kubernetes"] as const).filter((kind) => wanted === "all" || wanted === kind);

async function measure(registry: LoadedRegistry): Promise<AgentFigures> {
  const dataplane = where === "userspace" ? "userspace" : "kernel";
  const plan: AgentPlan = { registry, peers: Number(peers), dataplane, nodeFlags };
  const say = (doing: string): void => console.error(`  ${doing}`);
  if (dataplane === "userspace") return measureAgent(plan, say);
  const guest = fileURLToPath(new URL("agent/guest.js", import.meta.url));
  const words = [`SPINDLE_KUBE_APISERVER=${kubeApiServerPath()}`, process.execPath, guest, JSON.stringify(plan)];
  const result = await runInKernel("/usr/bin/env", words, { timeoutMs, memoryMib, stderr: (text) => void process.stderr.write(text) });
  if (result.status !== 0) throw new Error(`the guest ended with ${result.status}\n${result.console}`);
  return JSON.parse(result.stdout) as AgentFigures;
}

const verdict = (isMet: boolean): string => (isMet ? "  met" : "  MISSED");

function print(figures: AgentFigures): void {
  const row = (what: string, value: string, rest = ""): void => console.log(`  ${what.padEnd(48)} ${value.padStart(10)}${rest}`);
  const megabytes = (what: string, residentMb: number, isGoal = true): void =>
    row(what, `${residentMb.toFixed(0)} MB`, isGoal ? `  target ${residentMbMax}${verdict(residentMb < residentMbMax)}` : "");
  const { registry, dataplane, settled, rested, rotated, restedAgain, steadyCpuShare } = figures;
  console.log(`\none agent, ${figures.peers} peers, ${registry}, dataplane ${dataplane}${dataplane === "kernel" ? ` (${String(findKernelHost())})` : ""}`);
  row("admitting the peers", `${(figures.admittedMs / 1_000).toFixed(1)} s`);
  row("from its start until at rest", `${(figures.startedMs / 1_000).toFixed(1)} s`);
  megabytes("resident, just settled", settled.residentMb);
  megabytes("resident, after a minute at rest", rested.residentMb);
  row("processor, that minute", `${(100 * steadyCpuShare).toFixed(2)} %`, `  target ${100 * cpuShareMax} %${verdict(steadyCpuShare < cpuShareMax)}`);
  row("its busiest second (all is read back)", `${figures.busiestSecondMs} ms`);
  row("one rotation", `${(figures.rotationMs / 1_000).toFixed(1)} s`);
  megabytes("resident, just rotated", rotated.residentMb);
  megabytes("resident, after a rest", restedAgain.residentMb);
  megabytes("resident, the most", restedAgain.peakMb, false);
}

for (const registry of registries) print(await measure(registry));
