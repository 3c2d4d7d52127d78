/** `spindle cleanup` on a real kernel: all that is ours goes, and only ours. */
import assert from "node:assert/strict";
import type { CleanupResult } from "../../../src/cli/cleanup-text.js";
import type { KernelCase } from "../../support/kernel-cases.js";
import { runCommand, type CommandOutcome } from "../../support/netlink/command.js";
import { ip, ipBatch } from "../../support/netlink/namespace.js";

const key = `aead rfc4106(gcm(aes)) 0x${"03".repeat(20)} 128`;
const ours = 0x5350_0001;
const band = 0x5350_0000;

const foreign: readonly string[] = [
  `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x500 reqid 1 mode transport ${key}`,
  `xfrm state add src 10.0.0.1 dst 10.0.0.2 proto esp spi 0x501 reqid ${ours} auth hmac(sha512) 0x${"04".repeat(64)} enc cbc(aes) 0x${"05".repeat(16)}`,
  `xfrm policy add src 10.0.0.1 dst 10.0.0.2 dir out priority ${band - 1} tmpl proto esp reqid ${ours}`,
  `xfrm policy add src 10.0.0.3 dst 10.0.0.2 dir out priority ${band + 1} tmpl proto esp reqid 7`,
  `xfrm policy add src 10.0.0.4 dst 10.0.0.2 dir out priority ${band + 1} mark 5 tmpl proto esp reqid ${ours}`,
];

/** Of a dead agent, of a former address, and of kinds that this version does not make. */
const own: readonly string[] = [
  `xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x01000010 reqid ${ours} mode transport ${key}`,
  `xfrm state add src 2001:db8::9 dst 2001:db8::2 proto esp spi 0x01000020 reqid ${ours} mode tunnel ${key}`,
  `xfrm policy add src 192.0.2.1 dst 192.0.2.2 dir out priority ${band + 128} tmpl proto esp spi 0x01000010 reqid ${ours}`,
  `xfrm policy add src 10.2.0.0/16 dst 10.1.0.0/16 dir fwd priority ${band + 128} tmpl proto esp reqid ${ours} mode tunnel`,
  `xfrm policy add dst 10.0.0.0/8 dir out action block priority ${band + 255}`,
];

/** To a network of a peer, and one of a VPN gateway's link, which is no tunnel's. */
const ownRoute = "route add 10.2.0.0/16 dev lo proto 84 metric 21328";
const gatewayRoute = "route add 10.3.0.0/16 dev lo proto 83";

const listing = (): readonly string[] => [ip("xfrm", "state"), ip("xfrm", "policy"), ip("route")];

async function cleanup(...flags: readonly string[]): Promise<CommandOutcome & { readonly json: CleanupResult }> {
  const outcome = await runCommand(["cleanup", "--json", ...flags]);
  return { ...outcome, json: JSON.parse(outcome.stdout) as CleanupResult };
}

const counts = ({ sas, policies }: CleanupResult): readonly number[] => [sas.length, policies.length];

async function onlyOursGoes(): Promise<void> {
  ipBatch(["xfrm state flush", "xfrm policy flush", "link set lo up", gatewayRoute, ...foreign]);
  const before = listing();
  ipBatch([...own, ownRoute]);
  const full = listing();
  const dry = await cleanup("--dry-run");
  assert.deepEqual([dry.exitCode, counts(dry.json), dry.json.left], [0, [2, 3], null]);
  assert.deepEqual(dry.json.sas.map(({ spi }) => spi).sort(), ["0x01000010", "0x01000020"]);
  assert.deepEqual(dry.json.routes, ["10.2.0.0/16"]);
  assert.deepEqual(listing(), full, "--dry-run changes nothing");
  const real = await cleanup();
  assert.deepEqual([real.exitCode, counts(real.json), real.json.left], [0, [2, 3], { sas: 0, policies: 0, routes: 0, holders: 0 }]);
  assert.deepEqual(listing(), before, "what is not ours is as it was");
  assert.deepEqual(counts((await cleanup()).json), [0, 0]);
  const { stdout } = await runCommand(["cleanup"]);
  assert.match(stdout, /^nothing of Spindle's/);
}

async function anotherReqidIsAnother(): Promise<void> {
  ipBatch(["xfrm state flush", "xfrm policy flush", own[0]!]);
  assert.deepEqual(counts((await cleanup("--reqid", "70000")).json), [0, 0]);
  const both = await runCommand(["cleanup", "--reqid", "70000", "--config", "agent.yaml"]);
  assert.deepEqual([both.exitCode, both.stderr.includes("BAD_USAGE")], [2, true]);
  assert.equal((await runCommand(["cleanup", "--reqid", "none"])).exitCode, 2);
  assert.deepEqual(counts((await cleanup()).json), [1, 0]);
}

/** Somebody puts back what goes: that is no success. */
async function whatComesBackIsTold(): Promise<void> {
  ipBatch(["xfrm state flush", "xfrm policy flush", own[0]!]);
  const timer = setInterval(() => {
    if (ip("xfrm", "state") === "") ipBatch([own[0]!]);
  }, 50);
  const { exitCode, stdout } = await runCommand(["cleanup"]);
  clearInterval(timer);
  assert.equal(exitCode, 1);
  assert.match(stdout, /1 SA and 0 policies came back: stop the agent/);
}

export const cleanupCases: readonly KernelCase[] = [
  { name: "cleanup removes all that is ours and nothing else", run: onlyOursGoes },
  { name: "cleanup of another reqid finds nothing of ours", run: anotherReqidIsAnother },
  { name: "cleanup tells when an agent puts everything back", run: whatComesBackIsTold },
];
