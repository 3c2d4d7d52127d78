import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { agentStatus } from "../../../test/support/status.js";
import { captureTerminal } from "../../../test/support/terminal.js";
import { makeAgentMetrics } from "../../http/metrics/agent-metrics.js";
import { startStatusServer } from "../../http/server.js";
import type { SaDetail, SaListing } from "../../http/status.js";
import { CliError } from "../exit.js";
import { formatSas } from "../operator/sas-text.js";
import { askSas } from "./ask-sas.js";

type Config = Parameters<typeof askSas>[0];

const signal = new AbortController().signal;
const sa: SaDetail = {
  peer: "b c",
  direction: "out",
  keyId: 7,
  spi: "0x07000010",
  remote: "192.0.2.2",
  packets: 12,
  bytes: 1_300,
  idleMs: 61_000,
  sequence: 12,
  esn: true,
  sequenceShare: 12 / 2 ** 64,
};
const listing: SaListing = { schemaVersion: 1, node: "a", dumpedForMs: 5_000, sas: [sa] };

async function codeOf(asked: Promise<unknown>): Promise<string> {
  const cause: unknown = await asked.catch((error: unknown) => error);
  assert.ok(cause instanceof CliError);
  return cause.fault.code;
}

test("status --peer: the agent's answer over its status socket", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "spindle-sas-"));
  const listen = { kind: "unix", path: join(folder, "status.sock") } as const;
  const started = await startStatusServer(listen, {
    status: () => agentStatus,
    healthy: () => ({ ok: true, reasons: [] }),
    ready: () => ({ ok: true, reasons: [] }),
    metrics: makeAgentMetrics(() => agentStatus),
    listSas: (peers) => (peers?.join() === "b c,192.0.2.2" ? listing : peers?.[0] === "late" ? null : { unknown: peers ?? [] }),
  });
  assert.ok(started.ok);
  context.after(async () => {
    await started.value.close();
    rmSync(folder, { recursive: true });
  });
  const config = { metrics: { listen, tls: null } };
  assert.deepEqual(await askSas(config, ["b c", "192.0.2.2"], signal), listing);
  assert.equal(await codeOf(askSas(config, ["x"], signal)), "STATUS_PEER_UNKNOWN");
  assert.equal(await codeOf(askSas(config, ["late"], signal)), "STATUS_NOT_SERVED");
});

const nowhere = { listen: { kind: "unix", path: join(tmpdir(), "spindle-nobody.sock") }, tls: null } as const;
const refusals: readonly (readonly [name: string, config: Config, code: string])[] = [
  ["no agent is there", { metrics: nowhere }, "STATUS_AGENT_UNREACHABLE"],
  ["the status server is off", { metrics: null }, "STATUS_NOT_SERVED"],
  [
    "the status server is for others too",
    { metrics: { ...nowhere, tls: { certificateFile: "c", keyFile: "k", clientAuthorityFile: null } } },
    "STATUS_NOT_SERVED",
  ],
];

for (const [name, config, code] of refusals) {
  test(`status --peer: ${name}: ${code}`, async () => assert.equal(await codeOf(askSas(config, ["b"], signal)), code));
}

function text(changes: Partial<SaDetail>): string {
  return formatSas({ ...listing, sas: [{ ...sa, ...changes }] }, captureTerminal(), false);
}

test("status --peer: what is not known is not said", () => {
  assert.match(text({}), /b c +out +7 +0x07000010 +12 +1300 +1m 1s ago +12 +0 % of 2\^64/);
  assert.match(text({ idleMs: null, packets: 0 }), / never /);
  assert.match(text({ idleMs: null }), / unknown /);
  assert.match(text({ esn: false, sequenceShare: 0.76 }), / 76 % of 2\^32/);
  assert.match(text({ bytes: null, esn: null, sequenceShare: null }), / 12 +- +1m 1s ago +12 +-/);
  assert.equal(formatSas({ ...listing, dumpedForMs: null, sas: [] }, captureTerminal(), false), "a has no SA with them (not read yet)");
});
