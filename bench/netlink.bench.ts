/**
 * Installing and reading back the SAs of one rotation through netlink, beside a C program that only
 * sends the same bytes, beside `ip -batch`, and beside Go's vishvananda/netlink with one message per
 * call, all in the same kernel and run.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findKernelHost, runInKernel } from "../test/support/kernel-host.js";
import { root } from "../test/support/repository.js";
import type { Figures } from "./netlink/guest.js";
import { reportedSas } from "./netlink/workload.js";

const timeoutMs = 300_000;

/** @returns "-" where there is no C compiler */
function compileFloor(folder: string): string {
  const program = join(folder, "floor");
  try {
    execFileSync("cc", ["-O2", "-o", program, join(root, "bench/netlink/floor.c")], { stdio: "ignore" });
    return program;
  } catch {
    return "-";
  }
}

/** Debian's golang-go and golang-github-vishvananda-netlink-dev. @returns "-" where they are missing */
function compileGo(folder: string): string {
  const program = join(folder, "one-per-call");
  const env = { ...process.env, GO111MODULE: "off", GOPATH: "/usr/share/gocode", GOCACHE: join(folder, "go"), CGO_ENABLED: "0" };
  try {
    const source = join(root, "bench/netlink/one-per-call.go");
    execFileSync("go", ["build", "-o", program, source], { stdio: "ignore", env });
    return program;
  } catch {
    return "-";
  }
}

function print(figures: Figures): void {
  const { kernel, floorMs, prebuiltMs, encodedMs, ipBatchMs, readBackMs, longestBlockMs } = figures;
  const beside = (ms: number): string => (floorMs === null ? "" : `  ${(ms / floorMs).toFixed(2)} of C`);
  const verdict = (isMet: boolean): string => (isMet ? "  met" : "  MISSED");
  const row = (what: string, ms: number, rest = ""): void =>
    console.log(`  ${what.padEnd(44)} ${ms.toFixed(1).padStart(8)} ms${rest}`);
  console.log(`\nnetlink, ${reportedSas} ESP SAs, ${String(findKernelHost())} ${kernel}, best of 5`);
  if (floorMs !== null) row("C, prebuilt bytes", floorMs);
  const limit = (ms: number, most: number): string =>
    floorMs === null ? "" : `${beside(ms)}, target ${most}${verdict(ms <= most * floorMs)}`;
  row("Node.js, prebuilt bytes", prebuiltMs, limit(prebuiltMs, 1.25));
  row("Node.js, encoding included", encodedMs, limit(encodedMs, 1.6));
  row("the first SA since boot", figures.firstSaMs);
  row("Node.js, first in the process", figures.coldMs, beside(figures.coldMs));
  row("ip -batch", ipBatchMs, beside(ipBatchMs));
  if (figures.goMs !== null) {
    const ahead = (ms: number): string => `${beside(ms)}, ${(ms / encodedMs).toFixed(0)} of ours`;
    row("Go, vishvananda/netlink, a socket per call", figures.goMs.package, ahead(figures.goMs.package));
    row("Go, vishvananda/netlink, one socket", figures.goMs.handle, ahead(figures.goMs.handle));
  }
  row("reading back and comparing keys", readBackMs, `, target 40${verdict(readBackMs <= 40)}`);
  const { sending, dumping } = longestBlockMs;
  row("event loop blocked, 5,000 peers, sending", sending, `, target 20${verdict(sending <= 20)}`);
  row("event loop blocked, 5,000 peers, dumping", dumping, `, target 20${verdict(dumping <= 20)}`);
  const costs = figures.growth.map(({ usPerSa }) => usPerSa);
  const spread = Math.max(...costs) / Math.min(...costs);
  const series = figures.growth.map(({ peers, usPerSa }) => `${peers}: ${usPerSa.toFixed(1)} us`);
  console.log(`  per SA by peers  ${series.join("  ")}`);
  console.log(`  spread ${spread.toFixed(2)}, target 1.5${verdict(spread <= 1.5)}`);
}

const folder = mkdtempSync(join(tmpdir(), "spindle-bench-"));
try {
  const guest = fileURLToPath(new URL("netlink/guest.js", import.meta.url));
  const args = [guest, compileFloor(folder), compileGo(folder)];
  const { status, stdout, stderr } = await runInKernel(process.execPath, args, { timeoutMs });
  if (status === 0) print(JSON.parse(stdout) as Figures);
  else {
    console.error(stderr);
    process.exitCode = 1;
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
