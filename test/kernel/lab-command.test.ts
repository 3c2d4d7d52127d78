/** `spindle lab --dataplane kernel` as a user runs it, wherever a kernel with ESP is found. */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { LabReport } from "../../src/lab/report.js";
import { findKernelHost } from "../support/kernel-host.js";
import { runLabCommand, runSpindle, startSpindle, summaryOf, type LabResult } from "../support/lab.js";

const host = findKernelHost();
const skip = typeof host === "string" ? false : host.missing;
const kernel = ["--dataplane", "kernel", "--nodes", "3"];

function assertHitless(report: LabReport, result: Omit<LabResult, "report">): void {
  assert.ok(report.ok, summaryOf(result));
  assert.deepEqual([report.dataplane, report.packets.lost, report.counted], ["kernel", 0, 0]);
  assert.ok(report.packets.sent > 0);
  assert.deepEqual(report.validity.problems, []);
  assert.ok(report.bulk !== null && report.bulk.bytesSent > 0);
  assert.equal(report.bulk.bytesReceived, report.bulk.bytesSent);
}

test("kernel lab: today's order loses and is caught, ours loses none", { skip }, async () => {
  const result = await runSpindle("lab", ...kernel, "--compare", "--rotations", "2", "--json");
  assert.equal(result.code, 0, summaryOf(result));
  const { runs } = JSON.parse(result.stdout) as { runs: readonly [LabReport, LabReport] };
  const [today, ours] = runs;
  const { lost, lostByReason } = today.packets;
  assert.ok(lost > 0 && !today.ok);
  assert.deepEqual(lostByReason, { "inbound no_state": lost });
  assert.equal(today.losses[0]?.node, today.slowNode, "the slow node dropped them");
  assert.match(today.losses[0]?.cause ?? "", /advertised key 2 at .* could receive it only at /);
  assert.ok((today.counted ?? 0) >= lost, "the kernel counted them, and those of the bulk stream");
  assertHitless(ours, result);
  assert.deepEqual(ours.rotations.map(({ keyId }) => keyId), [2, 3]);
});

test("kernel lab: pairwise over IPv6, tunnels in UDP, loses none", { skip }, async () => {
  const words = ["--coordination", "pairwise", "--ipv6", "--encapsulation", "udp", "--ipsec-mode", "tunnel", "--rotations", "1"];
  const result = await runLabCommand(...kernel, ...words);
  assert.equal(result.code, 0, summaryOf(result));
  const { ipv6, encapsulation, ipsecMode } = result.report;
  assert.deepEqual([ipv6, encapsulation, ipsecMode], [true, "udp", "tunnel"]);
  assertHitless(result.report, result);
});

/** Command lines of living processes that name the folder. */
function processesOf(folder: string): readonly string[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => commandLineOf(pid))
    .filter((line) => line.includes(folder));
}

/** Empty for a process that has ended meanwhile. */
function commandLineOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1");
  } catch {
    return "";
  }
}

for (const { signal, code } of [
  { signal: "SIGINT", code: 1 },
  { signal: "SIGKILL", code: null },
] as const) {
  test(`kernel lab: after ${signal} no program of it runs`, { skip }, async (context) => {
    const folder = mkdtempSync(join(tmpdir(), "lab-test-"));
    context.after(() => rmSync(folder, { recursive: true, force: true }));
    const command = startSpindle(["lab", ...kernel, "--rotations", "100"], folder);
    context.after(() => void command.kill("SIGKILL"));
    let text = "";
    command.stderr?.on("data", (chunk: Buffer) => (text += chunk.toString()));
    while (!text.includes("starting 3 nodes") && command.exitCode === null) await sleep(50);
    assert.ok(processesOf(folder).length > 0, text);
    command.kill(signal);
    const ended = await new Promise((resolve) => command.on("close", resolve));
    assert.equal(ended, code, text);
    const endsMs = performance.now() + 20_000;
    while (processesOf(folder).length > 0 && performance.now() < endsMs) await sleep(50);
    assert.deepEqual(processesOf(folder), []);
    if (signal === "SIGINT") assert.deepEqual(readdirSync(folder), []);
  });
}

test("kernel lab: --keep is refused where it would keep nothing", { skip }, async () => {
  if (host === "native") return;
  const { code, stderr } = await runSpindle("lab", ...kernel, "--keep");
  assert.equal(code, 2, stderr);
  assert.match(stderr, /--keep does not reach into User-Mode Linux/);
});
