/**
 * A roster of 1,000 and a busy loop for each processor: how long from a new key in the key files until its inbound SAs are
 * staged, and what is lost of real traffic. Three agents are real, each with 999 peers; the others are roster entries.
 */
import { fileURLToPath } from "node:url";
import { findKernelHost, runInKernel } from "../test/support/kernel-host.js";
import type { StagingFigures } from "./staging/guest.js";

const timeoutMs = 560_000;
const memoryMib = 2_048;

function print({ report, processors, roster, stagingMs }: StagingFigures): void {
  console.log(`\nstaging, a roster of ${roster}, ${report.nodes} real agents, ${String(findKernelHost())}, ${processors} processors`);
  const seconds = (ms: number | null): string => (ms === null ? "never" : `${(ms / 1_000).toFixed(1)} s`).padStart(9);
  for (const [index, { stagedMs, switchedMs, durationMs, packets }] of report.rotations.entries()) {
    console.log(index === 0 ? "  otherwise idle" : `  beside ${processors} busy loops`);
    console.log(`    staged everywhere, from the key file on  ${seconds(stagedMs)}`);
    console.log(`    the agents' own word, each               ${stagingMs[index]?.map(seconds).join("")}`);
    console.log(`    sending with it everywhere               ${seconds(switchedMs)}`);
    console.log(`    over                                     ${seconds(durationMs)}`);
    console.log(`    packets sent ${packets.sent}, lost ${packets.lost} ${JSON.stringify(packets.lostByReason)}`);
  }
  const { counted, bulk, validity, ok } = report;
  console.log(`  counted as errors by the kernels: ${counted}; bulk stream ${JSON.stringify(bulk)}`);
  console.log(`  lost ${report.packets.lost}, target 0  ${report.packets.lost === 0 ? "met" : "MISSED"}; ok ${ok} ${JSON.stringify(validity)}`);
}

const guest = fileURLToPath(new URL("staging/guest.js", import.meta.url));
const [roster = "1000"] = process.argv.slice(2);
const stderr = (text: string): void => void process.stderr.write(text);
const result = await runInKernel(process.execPath, [guest, roster], { timeoutMs, memoryMib, stderr });
if (result.status !== 0) throw new Error(`the guest ended with ${result.status}\n${result.console}`);
print(JSON.parse(result.stdout) as StagingFigures);
