/** `spindle doctor` on a real kernel: what it tries and reads is there, and what stands in the way is found. */
import assert from "node:assert/strict";
import type { Finding } from "../../../src/cli/doctor/checks.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { runCommand } from "../../support/netlink/command.js";
import { makeKernelNode } from "../../support/netlink/kernel-node.js";
import { openDatagramSocket } from "../../support/netlink/datagrams.js";
import { ip, ipBatch, makeNamespace } from "../../support/netlink/namespace.js";

const key = `aead rfc4106(gcm(aes)) 0x${"06".repeat(20)} 128`;

interface Diagnosis {
  readonly exitCode: number;
  readonly findings: readonly Finding[];
  level(check: string): string | undefined;
}

async function doctor(...flags: readonly string[]): Promise<Diagnosis> {
  const { exitCode, stdout } = await runCommand(["doctor", "--json", ...flags]);
  const { findings } = JSON.parse(stdout) as { readonly findings: readonly Finding[] };
  return { exitCode, findings, level: (check) => findings.find((one) => one.check === check)?.level };
}

async function healthyHost(): Promise<void> {
  ipBatch(["xfrm state flush", "xfrm policy flush"]);
  const { exitCode, level, findings } = await doctor();
  assert.deepEqual(findings.filter((one) => one.level === "obstacle"), []);
  assert.equal(exitCode, 0);
  for (const check of ["privileges", "esp ipv4", "esp ipv6", "counters"]) assert.equal(level(check), "ok", check);
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
    quiet.close();
    const unknown = await doctor("--peer", "203.0.113.9");
    assert.deepEqual([unknown.exitCode, unknown.level("route")], [1, "obstacle"]);
    assert.equal((await runCommand(["doctor", "--peer", "localhost"])).exitCode, 2);
  } finally {
    ip("link", "delete", "near");
    far.close();
  }
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
  { name: "doctor finds route, source, MTU and answer of a peer, and policies before ours", run: wayToPeer },
];

/** Where ESP is missing. */
export const noEspDoctorCases: readonly KernelCase[] = [
  { name: "doctor finds that the kernel lacks ESP, and says what to load", run: missingEspIsFound },
];
