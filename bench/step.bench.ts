/** What one step of an agent with 1,000 peers costs: it should cost what changed, and not the size of the fleet. */
import type { NodeName } from "../src/core/node.js";
import { stepAgent } from "../src/core/rotation/step.js";
import { timeUs, printTable, type Measurement } from "./measure.js";
import { measurePairs } from "./pairs.js";
import { reconcileMs } from "./reconcile.js";
import { rotateOne } from "./rotation.js";
import { settleAgent, type SettledAgent } from "./settled-agent.js";

const peers = 1_000;
const nothingChangedUs = 50;
const perPeerUs = 10;
const fleetNodes = 100;
const perPairUs = 30;
const perPairBytes = 2_000;
const reconcilePeers = 5_000;
const reconcileTargetMs = 150;

function verdict(value: number, target: number): string {
  return `target ${target}  ${value <= target ? "met" : "MISSED"}`;
}

function stepWith({ state, observation, nowMs, options }: SettledAgent, touched: ReadonlySet<NodeName> | "all"): () => void {
  const seen = { ...observation, touched };
  return () => {
    stepAgent(state, seen, nowMs, options);
  };
}

function measure(agent: SettledAgent): readonly Measurement[] {
  const names = [...agent.state.peers.keys()];
  const idleUs = timeUs(stepWith(agent, new Set()));
  const found: Measurement[] = [{ what: "nothing changed", us: idleUs, targetUs: nothingChangedUs }];
  for (const count of [1, 10, 100, peers]) {
    const us = timeUs(stepWith(agent, new Set(names.slice(0, count))));
    const eachUs = Math.max(0, us - idleUs) / count;
    found.push({ what: `${count} peers changed, each`, us: eachUs, targetUs: perPeerUs });
  }
  return [...found, { what: "full step over all peers", us: timeUs(stepWith(agent, "all")), targetUs: null }];
}

for (const coordination of ["barrier", "pairwise"] as const) {
  printTable(`step with ${peers} peers, ${coordination}`, measure(settleAgent(coordination, peers)));
  for (const size of [1_000, 5_000]) {
    const { steps, totalMs, longestMs, bytesPerPeer } = rotateOne(coordination, size);
    console.log(
      `  one rotation with ${size} peers: ${totalMs.toFixed(0)} ms in ${steps} steps, the longest ${longestMs.toFixed(1)} ms; ` +
        `${bytesPerPeer.toFixed(0)} bytes per peer, simulated kernel and registry included`,
    );
  }
}

console.log(`\na fleet of ${fleetNodes} nodes, per ordered pair, modelled kernels and registry included, without packets`);
for (const coordination of ["barrier", "pairwise"] as const) {
  const { usPerRotation, bytes } = measurePairs(coordination, fleetNodes);
  console.log(`  ${coordination.padEnd(8)}  one rotation ${usPerRotation.toFixed(0)} us of processor time  ${verdict(usPerRotation, perPairUs)}`);
  console.log(`  ${coordination.padEnd(8)}  memory ${bytes.toFixed(0)} bytes  ${verdict(bytes, perPairBytes)}`);
}
const tookMs = reconcileMs(reconcilePeers);
console.log(`\nreading ${reconcilePeers} peers back, nothing to do: ${tookMs.toFixed(1)} ms  ${verdict(tookMs, reconcileTargetMs)}`);
