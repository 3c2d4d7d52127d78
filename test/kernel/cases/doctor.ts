/** `spindle doctor` on a real kernel: what it tries and reads is there, and what stands in the way is found. */
import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { checkPaths } from "../../../src/cli/daemon/path-check.js";
import type { Finding } from "../../../src/cli/doctor/finding.js";
import { startStatusServer, type StatusSource } from "../../../src/http/server.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { writeAgentFile } from "../../support/netlink/agent-file.js";
import { attachProgram } from "../../support/netlink/bpf.js";
import { runCommand } from "../../support/netlink/command.js";
import { until, withKernelFleet, type FleetNode } from "../../support/netlink/kernel-fleet.js";
import { makeKernelNode } from "../../support/netlink/kernel-node.js";
import { openDatagramSocket } from "../../support/netlink/datagrams.js";
import { ip, ipBatch, makeNamespace } from "../../support/netlink/namespace.js";

const main = fileURLToPath(new URL("../../../src/cli/main.js", import.meta.url));
const key = `aead rfc4106(gcm(aes)) 0x${"06".repeat(20)} 128`;

interface Diagnosis {
  readonly exitCode: number;
  readonly findings: readonly Finding[];
  level(check: string): string | undefined;
}

async function doctor(...flags: readonly string[]): Promise<Diagnosis> {
  const { exitCode, stdout } = await runCommand(["doctor", "--json", ...flags]);
  return diagnosisOf(stdout, exitCode);
}

function diagnosisOf(stdout: string, exitCode: number): Diagnosis {
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return { exitCode, findings, level: (check) => findings.find((one) => one.check === check)?.level };
}

async function healthyHost(): Promise<void> {
  ipBatch(["xfrm state flush", "xfrm policy flush"]);
  const { exitCode, level, findings } = await doctor();
  assert.deepEqual(findings.filter((one) => one.level === "obstacle"), []);
  assert.equal(exitCode, 0);
  for (const check of ["privileges", "esp ipv4", "esp ipv6", "counters", "bpf and offload", "tcx", "reverse path"]) {
    assert.equal(level(check), "ok", check);
  }
  assert.notEqual(level("clock"), "unknown");
  assert.equal(ip("xfrm", "state"), "", "the SA that was tried is gone");
  const { stdout } = await runCommand(["doctor"]);
  assert.match(stdout, /^CHECK +RESULT +FOUND/);
}

async function ciliumIsFound(): Promise<void> {
  ipBatch([
    "xfrm state flush",
    `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 3 reqid 1 mode tunnel mark 0xd00 mask 0xf00 ${key}`,
  ]);
  const { exitCode, level } = await doctor();
  assert.deepEqual([exitCode, level("other IPsec")], [1, "obstacle"]);
  const ends = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" };
  const node = await makeKernelNode(1, ends);
  await assert.rejects(node.kernel.check(), { code: "DATAPLANE_BESIDE_CILIUM" });
  const bold = await makeKernelNode(1, ends, null, { besideCilium: true });
  await bold.kernel.check();
  for (const { kernel } of [node, bold]) kernel.close();
  ipBatch(["xfrm state flush"]);
}

async function wayToPeer(): Promise<void> {
  const far = makeNamespace("far");
  ipBatch(["link add near type veth peer name far netns far", "address add 198.51.100.1/24 dev near", "link set near mtu 1400 up"]);
  ipBatch(["link set lo up", "address add 198.51.100.2/24 dev far", "link set far mtu 1400 up"], far);
  try {
    const { findings, level } = await doctor("--peer", "198.51.100.2");
    assert.match(findings.find(({ check }) => check === "route")?.what ?? "", /from 198\.51\.100\.1$/);
    assert.match(findings.find(({ check }) => check === "peer")?.what ?? "", /answers$/);
    assert.match(findings.find(({ check }) => check === "mtu")?.what ?? "", /^1400 bytes, 1363 of them/);
    assert.equal(level("other policies"), "ok");
    ipBatch(["xfrm policy add dst 198.51.100.0/24 dir out priority 9"]);
    assert.equal((await doctor("--peer", "198.51.100.2")).level("other policies"), "obstacle");
    ipBatch(["xfrm policy update dst 198.51.100.0/24 dir out priority 9 action block"]);
    assert.equal((await doctor("--peer", "198.51.100.2")).level("route"), "obstacle");
    ipBatch(["xfrm policy flush"]);
    const quiet = far.within(() => openDatagramSocket("ipv4", "198.51.100.2", 4_500));
    const answer = (await doctor("--peer", "198.51.100.2")).findings.find(({ check }) => check === "peer");
    assert.match(answer?.what ?? "", /nobody on the way rejects/);
    assert.equal(answer?.level, "unknown");
    quiet.close();
    const unknown = await doctor("--peer", "203.0.113.9");
    assert.deepEqual([unknown.exitCode, unknown.level("route")], [1, "obstacle"]);
    assert.equal((await runCommand(["doctor", "--peer", "localhost"])).exitCode, 2);
  } finally {
    ip("link", "delete", "near");
    far.close();
  }
}

/**
 * Packets go to far by `near`, and come from it by `back`:
 *
 *   198.51.100.1 near ───── far  198.51.100.2
 *    203.0.113.1 back ───── away 203.0.113.2
 */
async function asymmetricRouteIsFound(): Promise<void> {
  const far = makeNamespace("far");
  const strict = "/proc/sys/net/ipv4/conf/back/rp_filter";
  ipBatch([
    "link add near type veth peer name far netns far",
    "link add back type veth peer name away netns far",
    ...["address add 198.51.100.1/24 dev near", "address add 203.0.113.1/24 dev back", "link set near up", "link set back up"],
  ]);
  ipBatch(["address add 198.51.100.2/24 dev far", "address add 203.0.113.2/24 dev away", "link set far up", "link set away up"], far);
  ipBatch(["route add 198.51.100.1/32 via 203.0.113.1 dev away src 198.51.100.2"], far);
  const [from, to] = [far.within(() => openDatagramSocket("ipv4", "198.51.100.2", 7_000)), openDatagramSocket("ipv4", "198.51.100.1", 7_000)];
  const found = async (): Promise<Finding | undefined> => (await doctor("--peer", "198.51.100.2")).findings.find(({ check }) => check === "reverse path");
  try {
    writeFileSync(strict, "2");
    await until("a packet comes by the other device", () => {
      from.send("x", "198.51.100.1", 7_000);
      return to.receiveAll().length > 0;
    });
    assert.equal((await found())?.level, "ok");
    writeFileSync(strict, "1");
    assert.match((await found())?.todo ?? "", /^if packets/);
    from.send("x", "198.51.100.1", 7_000);
    assert.deepEqual(to.receiveAll(), []);
    const { level, what = "", todo } = (await found()) ?? {};
    assert.equal(level, "warning");
    assert.match(what, /^rp_filter is strict on back, and [1-9]\d* packets were dropped for it/);
    assert.match(todo ?? "", /^packets come by another device.*sysctl net\/ipv4\/conf\/back\/rp_filter=2$/);
  } finally {
    for (const socket of [from, to]) socket.close();
    for (const device of ["near", "back"]) ip("link", "delete", device);
    far.close();
  }
}

async function programsAreFound(): Promise<void> {
  ipBatch(["link add seen type veth peer name other", "link set seen up", "link set other up"]);
  try {
    execFileSync("tc", ["qdisc", "add", "dev", "seen", "clsact"]);
    execFileSync("tc", ["filter", "add", "dev", "seen", "egress", "bpf", "bytecode", "1,6 0 0 4294967295,"]);
    execFileSync("tc", ["qdisc", "add", "dev", "other", "ingress"]);
    execFileSync("tc", ["filter", "add", "dev", "other", "parent", "ffff:", "u32", "match", "u32", "0", "0"]);
    const [, index = ""] = /^(\d+): other@/m.exec(ip("-o", "link")) ?? [];
    const detach = await attachProgram("xdp", Number(index));
    const { findings } = await doctor();
    detach();
    const found = findings.filter(({ check }) => check === "bpf and offload");
    assert.deepEqual(found.map(({ level }) => level), ["warning", "warning", "warning"]);
    const words = found.map(({ what }) => what.replace(/program \d+/, "program N")).sort();
    assert.deepEqual(words, [
      "XDP program N on other sees packets before XFRM",
      "filter bpf on seen sees packets before XFRM",
      "filter u32 on other sees packets before XFRM",
    ]);
  } finally {
    ip("link", "delete", "seen");
  }
}

/** As its own process in left's namespace, with the configuration of left's agent. */
async function doctorBeside(left: FleetNode, socket: string, peer: string): Promise<Diagnosis> {
  const file = writeAgentFile(left, socket);
  const command = ["netns", "exec", left.namespace.name, process.execPath, main, "doctor", "--json", "--config", file.path, "--peer", peer];
  const ended = promisify(execFile)("ip", command).then(({ stdout }) => ({ stdout, code: 0 }));
  const { stdout, code } = await ended.catch((cause: { readonly stdout: string; readonly code: number }) => cause);
  file.remove();
  return diagnosisOf(stdout, code);
}

/** The agent's part of `POST /probe`. */
async function serveProbes({ view, node }: FleetNode, socket: string): Promise<() => Promise<void>> {
  const answer = (): never => assert.fail("only probes are served");
  const source: StatusSource = {
    status: answer,
    healthy: answer,
    ready: answer,
    metrics: { contentType: "", render: answer },
    checkPaths: (peers) => checkPaths({ inspect: view }, (probes, done) => node.kernel.probe(probes, done), node.end.name, peers),
  };
  const server = await startStatusServer({ kind: "unix", path: socket }, source);
  assert.ok(server.ok);
  return () => server.value.close();
}

async function closedPathIsFound(udpPort: number | null, rule: string): Promise<void> {
  await withKernelFleet(udpPort === null ? {} : { udpPort }, async ({ left, right }) => {
    const socket = `/run/doctor-${process.pid}.sock`;
    const close = await serveProbes(left, socket);
    try {
      const open = await doctorBeside(left, socket, right.address);
      assert.match(open.findings.find(({ check }) => check === "packets")?.what ?? "", /with key 1 was answered/);
      assert.deepEqual([open.level("packets"), open.level("address translation")], ["ok", "ok"]);
      execFileSync("ip", ["netns", "exec", right.namespace.name, "iptables-legacy", ...`-A INPUT ${rule} -j DROP`.split(" ")]);
      const shut = await doctorBeside(left, socket, right.address);
      assert.deepEqual([shut.exitCode, shut.level("packets"), shut.level("mtu")], [1, "obstacle", "unknown"]);
      const carrier = udpPort === null ? /IP protocol 50 pass/ : /UDP 4500 pass/;
      assert.match(shut.findings.find(({ check }) => check === "packets")?.todo ?? "", carrier);
      assert.equal(shut.level("address translation"), "unknown");
    } finally {
      await close();
    }
  });
}

async function missingEspIsFound(): Promise<void> {
  const { exitCode, findings } = await doctor();
  assert.equal(exitCode, 1);
  const esp = findings.filter(({ check }) => check.startsWith("esp"));
  for (const { level, what, todo } of esp) {
    assert.equal(level, "obstacle");
    assert.match(what, /^EPROTONOSUPPORT/);
    assert.match(todo ?? "", /esp4/);
  }
  assert.equal(esp.length, 2);
}

export const doctorCases: readonly KernelCase[] = [
  { name: "doctor finds nothing in the way on a healthy host, and leaves nothing behind", run: healthyHost },
  { name: "doctor finds Cilium's IPsec, beside which no agent starts unasked", run: ciliumIsFound },
  { name: "doctor finds XDP programs and filters of traffic control", run: programsAreFound },
  { name: "doctor finds that a strict reverse path filter drops what comes by another device", run: asymmetricRouteIsFound },
  { name: "doctor finds that protocol 50 is dropped on the way to a peer", run: () => closedPathIsFound(null, "-p esp") },
  { name: "doctor finds that UDP 4500 is dropped on the way to a peer", run: () => closedPathIsFound(4_500, "-p udp --dport 4500") },
  { name: "doctor finds route, source, MTU and answer of a peer, and policies before ours", run: wayToPeer },
];

/** Where ESP is missing. */
export const noEspDoctorCases: readonly KernelCase[] = [
  { name: "doctor finds that the kernel lacks ESP, and says what to load", run: missingEspIsFound },
];
