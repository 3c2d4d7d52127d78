/** A root that no link names any more: its key is in neither file nor memory of the hub's program. */
import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { gatewayName } from "../../src/adapters/pki/gateway-name.js";
import { makeRequest } from "../../src/adapters/pki/request.js";
import type { Link, LinkName, PairIndex, SiteName } from "../../src/core/gateway/link.js";
import type { Issued } from "../../src/ports/issuer.js";
import type { IssuerCall, IssuerReply } from "../support/issuer-process-main.js";
import { tracesInMemory } from "../support/memory-scan.js";

const hourMs = 3_600_000;
const link: Link = { name: "a-b" as LinkName, server: "a" as SiteName, client: "b" as SiteName, pairs: 1 };
const pair = 0 as PairIndex;

test("issuer: the key of a root that was destroyed is nowhere in the hub's memory", { skip: process.platform !== "linux" }, async () => {
  const directory = mkdtempSync(join(tmpdir(), "spindle-issuer-"));
  const program = fileURLToPath(new URL("../support/issuer-process-main.js", import.meta.url));
  const child = fork(program, [directory, String(48 * hourMs), String(hourMs)]);
  const ask = async (call: IssuerCall): Promise<Issued | null> => {
    child.send(call);
    const [reply] = (await once(child, "message")) as [IssuerReply];
    assert.ok(reply.ok);
    return reply.value;
  };
  const issue = async (number: number, atMs: number): Promise<Issued> => {
    const requestOf = async (site: SiteName): Promise<string> => (await makeRequest(gatewayName(site, link.name, pair, number))).requestPem;
    const csrs = { server: await requestOf(link.server), client: await requestOf(link.client) };
    return (await ask({ kind: "issue", order: { link, pair, number, slot: 0, csrs }, atMs }))!;
  };
  try {
    const first = await issue(1, Date.now());
    const keyPath = join(directory, `root-${first.root.fingerprint}.key`);
    const key = readFileSync(keyPath, "utf8");
    const second = await issue(2, Date.now() + 30 * hourMs);
    assert.notEqual(second.root.fingerprint, first.root.fingerprint);
    await ask({ kind: "keep-roots", used: [second.root.fingerprint] });
    assert.ok(!existsSync(keyPath));
    assert.equal(tracesInMemory(child.pid!, key), 0);
  } finally {
    child.kill();
    rmSync(directory, { recursive: true });
  }
});
