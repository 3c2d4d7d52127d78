/** Refusals of a real kernel, and that a batch goes on past them. */
import assert from "node:assert/strict";
import { Keyring } from "../../../src/adapters/crypto/keyring.js";
import { openNetlinkKernel } from "../../../src/adapters/netlink/kernel-port.js";
import type { Guard } from "../../../src/adapters/netlink/kernel/guard.js";
import { defaultOwnership } from "../../../src/adapters/netlink/kernel/ownership.js";
import { PortError } from "../../../src/adapters/port-error.js";
import { MessageBatch } from "../../../src/adapters/netlink/codec/batch.js";
import { describeKernelError } from "../../../src/adapters/netlink/codec/errno.js";
import type { KernelError } from "../../../src/adapters/netlink/codec/kernel-error.js";
import { appendDeletePolicy, appendGetPolicy, appendPolicy } from "../../../src/adapters/netlink/codec/policy.js";
import { appendDeleteSa, appendGetSa, appendSa, readSa } from "../../../src/adapters/netlink/codec/sa.js";
import { NetlinkDescriptor } from "../../../src/adapters/netlink/socket/descriptor.js";
import { loadLibc } from "../../../src/adapters/netlink/socket/libc.js";
import { openRequestSocket } from "../../../src/adapters/netlink/socket/request-socket.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { openDatagramSocket } from "../../support/netlink/datagrams.js";
import { ip } from "../../support/netlink/namespace.js";
import { dumpSas, hostSelector, keyOf, protectingPolicy, saOf } from "../../support/netlink/samples.js";

const addressesOfNode = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" };
const sa = saOf("ipv4", "transport");
const policy = protectingPolicy("out", sa, hostSelector("ipv4", sa.source, sa.destination));

function codeOf(error: KernelError | undefined): string {
  return error === undefined ? "none" : describeKernelError(error).code;
}

async function batchGoesOn(): Promise<void> {
  ip("xfrm", "state", "flush");
  const socket = await openRequestSocket();
  const spis = Array.from({ length: 300 }, (_, i) => 0x0300_0000 + (i % 200));
  const refused = await socket.send(spis, (batch, spi) =>
    appendSa(batch, "add", { ...sa, spi }, keyOf(20)),
  );
  assert.deepEqual(
    refused.map(({ index, error }) => `${index} ${codeOf(error)}`),
    Array.from({ length: 100 }, (_, i) => `${200 + i} EEXIST`),
  );
  assert.equal((await dumpSas(socket)).length, 200);
  socket.close();
}

async function absentIsTold(): Promise<void> {
  ip("xfrm", "state", "flush");
  ip("xfrm", "policy", "flush");
  const socket = await openRequestSocket();
  const [noSa] = await socket.send([sa], appendDeleteSa);
  const [noPolicy] = await socket.send([policy], appendDeletePolicy);
  const [noUpdate] = await socket.send([sa], (batch, one) => appendSa(batch, "update", one, keyOf(20)));
  assert.deepEqual([noSa, noPolicy, noUpdate].map((one) => codeOf(one?.error)), ["ESRCH", "ENOENT", "ESRCH"]);
  const [got] = await socket.getMany([sa], appendGetSa, readSa);
  assert.ok(got !== undefined && "error" in got && codeOf(got.error) === "ESRCH");
  const [gotPolicy] = await socket.getMany([policy], appendGetPolicy, () => true);
  assert.ok(gotPolicy !== undefined && "error" in gotPolicy && codeOf(gotPolicy.error) === "ENOENT");
  socket.close();
}

async function takenPolicyIsTold(): Promise<void> {
  ip("xfrm", "policy", "flush");
  const socket = await openRequestSocket();
  const refused = await socket.send([policy, policy], (batch, one) => appendPolicy(batch, "add", one));
  assert.deepEqual(refused.map(({ index, error }) => `${index} ${codeOf(error)}`), ["1 EEXIST"]);
  socket.close();
}

async function wrongKeyLengthIsExplained(): Promise<void> {
  ip("xfrm", "state", "flush");
  const socket = await openRequestSocket();
  const [refused] = await socket.send([sa], (batch, one) => appendSa(batch, "add", one, keyOf(19)));
  const { code, message } = describeKernelError(refused!.error);
  assert.equal(code, "EINVAL");
  assert.match(message, /^Kernel was unable to initialize cryptographic operations: /);
  socket.close();
}

/** The kernel would repeat the refused request, key bytes included. */
async function refusalHasNoKey(): Promise<void> {
  ip("xfrm", "state", "flush");
  const descriptor = new NetlinkDescriptor(await loadLibc());
  const batch = new MessageBatch();
  appendSa(batch, "add", sa, keyOf(19));
  batch.number(1, 0, 0);
  assert.equal(descriptor.send(batch.content()), 0);
  const received = descriptor.receive(true);
  assert.ok(received.kind === "bytes" && received.content.length > 0);
  assert.ok(!Buffer.from(received.content).includes(Buffer.from(keyOf(8))));
  descriptor.close();
}

async function someAreFound(): Promise<void> {
  ip("xfrm", "state", "flush");
  const socket = await openRequestSocket();
  await socket.send([sa], (batch, one) => appendSa(batch, "add", one, keyOf(20)));
  const asked = Array.from({ length: 200 }, (_, i) => ({ ...sa, spi: sa.spi + (i % 100) }));
  const answers = await socket.getMany(asked, appendGetSa, (payload) => readSa(payload)?.spi);
  assert.deepEqual(
    answers.flatMap((answer, i) => ("found" in answer ? [[i, answer.found]] : [])),
    [
      [0, sa.spi],
      [100, sa.spi],
    ],
  );
  assert.deepEqual(await socket.send([sa], appendDeleteSa), []);
  assert.deepEqual(await dumpSas(socket), []);
  socket.close();
}

export const errorCases: readonly KernelCase[] = [
  { name: "a batch goes on past refused messages, and each is told by its place", run: batchGoesOn },
  { name: "what is absent is refused as ESRCH or ENOENT", run: absentIsTold },
  { name: "a policy that exists is refused as EEXIST", run: takenPolicyIsTold },
  { name: "a key of a wrong length is explained in the kernel's words", run: wrongKeyLengthIsExplained },
  { name: "a refusal does not repeat the key", run: refusalHasNoKey },
  { name: "SAs are asked for one by one, and deleted", run: someAreFound },
  { name: "an agent's check of the kernel leaves nothing behind", run: kernelIsChecked },
  { name: "an agent that does not start blocks what it must all the same", run: refusedAgentsBlock },
];

const guard: Guard = { cidrs: [{ address: "10.99.0.0", length: 16 }], bypassTcpPorts: [] };

/** What an agent does first. @returns the code, or none when the kernel has what it needs */
async function checkKernel(options: { guard?: Guard; udpPort?: number } = {}): Promise<string> {
  const addresses = { ...addressesOfNode, udpPort: options.udpPort ?? null };
  const local = { addresses, ownership: defaultOwnership, replayWindow: 1_024, probePort: 11_192, guard: options.guard ?? null };
  try {
    (await openNetlinkKernel({ local, keySource: new Keyring(), log: { write: () => undefined } })).close();
    return "none";
  } catch (cause) {
    return cause instanceof PortError ? cause.code : String(cause);
  }
}

async function kernelIsChecked(): Promise<void> {
  ip("xfrm", "state", "flush");
  assert.equal(await checkKernel(), "none");
  assert.equal(ip("xfrm", "state"), "");
}

/** S3: the kernel blocks what it must, although the agent does not start. */
function assertBlocks(): void {
  assert.match(ip("xfrm", "policy"), /^src 0\.0\.0\.0\/0 dst 10\.99\.0\.0\/16\s+dir out action block/m);
  ip("xfrm", "policy", "flush");
}

async function refusedAgentsBlock(): Promise<void> {
  ip("address", "replace", "192.0.2.1/32", "dev", "lo");
  const other = openDatagramSocket("ipv4", "192.0.2.1", 4_500);
  assert.equal(await checkKernel({ guard, udpPort: 4_500 }), "DATAPLANE_BIND_FAILED");
  other.close();
  assertBlocks();
  const cilium = ["src", "10.0.0.1", "dst", "10.0.0.2", "proto", "esp", "spi", "3", "reqid", "1", "mode", "tunnel"];
  const cipher = ["aead", "rfc4106(gcm(aes))", `0x${"11".repeat(20)}`, "128"];
  ip("xfrm", "state", "add", ...cilium, "mark", "0xd00", "mask", "0xf00", ...cipher);
  assert.equal(await checkKernel({ guard }), "DATAPLANE_BESIDE_CILIUM");
  ip("xfrm", "state", "flush");
  assertBlocks();
}

async function noEsp(): Promise<void> {
  const socket = await openRequestSocket();
  const sas = [sa, saOf("ipv6", "transport")];
  const refused = await socket.send(sas, (batch, one) => appendSa(batch, "add", one, keyOf(20)));
  const described = refused.map(({ error }) => describeKernelError(error));
  assert.deepEqual(described.map(({ code }) => code), ["EPROTONOSUPPORT", "EPROTONOSUPPORT"]);
  for (const { message } of described) assert.match(message, /^Requested type not found/);
  socket.close();
  assert.equal(await checkKernel({ guard }), "EPROTONOSUPPORT");
  assertBlocks();
}

/** For a guest without the ESP modules. */
export const noEspCases: readonly KernelCase[] = [
  { name: "without ESP an SA is refused as EPROTONOSUPPORT", run: noEsp },
];

async function noCipher(): Promise<void> {
  const socket = await openRequestSocket();
  const [refused] = await socket.send([sa], (batch, one) => appendSa(batch, "add", one, keyOf(20)));
  const { code, message } = describeKernelError(refused!.error);
  assert.equal(code, "ENOSYS");
  assert.match(message, /^Requested AEAD algorithm not found/);
  socket.close();
  assert.equal(await checkKernel(), "ENOSYS");
}

/** For a guest without the cipher's modules. */
export const noCipherCases: readonly KernelCase[] = [
  { name: "without the cipher an SA is refused as ENOSYS", run: noCipher },
];
