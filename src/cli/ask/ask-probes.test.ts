import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { agentStatus } from "../../../test/support/status.js";
import { makeAgentMetrics } from "../../http/metrics/agent-metrics.js";
import { startStatusServer } from "../../http/server.js";
import type { PathCheck } from "../../http/status.js";
import type { AgentConfig } from "../config/agent.js";
import { CliError } from "../exit.js";
import { askForProbes } from "./ask-probes.js";

type Config = Parameters<typeof askForProbes>[0];

const kernel = { kind: "kernel" } as AgentConfig["dataplane"];
const signal = new AbortController().signal;
const path = { peer: "b", family: "ipv4", keyId: 2, roundTripMs: 0.4, why: null } as const;
const whole: PathCheck = { schemaVersion: 1, node: "a", paths: [path], ok: true };

async function serve(context: TestContext): Promise<Config> {
  const folder = mkdtempSync(join(tmpdir(), "spindle-probe-"));
  const listen = { kind: "unix", path: join(folder, "status.sock") } as const;
  const started = await startStatusServer(listen, {
    status: () => agentStatus,
    healthy: () => ({ ok: true, reasons: [] }),
    ready: () => ({ ok: true, reasons: [] }),
    metrics: makeAgentMetrics(() => agentStatus),
    checkPaths: async (peers) => (peers === null ? whole : peers.includes("late") ? null : { unknown: peers }),
  });
  assert.ok(started.ok);
  context.after(async () => {
    await started.value.close();
    rmSync(folder, { recursive: true });
  });
  return { metrics: { listen, tls: null }, dataplane: kernel };
}

async function codeOf(asked: Promise<unknown>): Promise<string> {
  const cause: unknown = await asked.catch((error: unknown) => error);
  assert.ok(cause instanceof CliError);
  return cause.fault.code;
}

test("probe: the agent's answer over its status socket", async (context) => {
  const config = await serve(context);
  assert.deepEqual(await askForProbes(config, null, signal), whole);
  assert.equal(await codeOf(askForProbes(config, ["x"], signal)), "PROBE_PEER_UNKNOWN");
  assert.equal(await codeOf(askForProbes(config, ["late"], signal)), "PROBE_NOT_ADMITTED");
});

const nowhere = { listen: { kind: "unix", path: join(tmpdir(), "spindle-nobody.sock") }, tls: null } as const;
const refusals: readonly (readonly [name: string, config: Config, code: string])[] = [
  ["no agent is there", { metrics: nowhere, dataplane: kernel }, "PROBE_AGENT_UNREACHABLE"],
  ["the status server is off", { metrics: null, dataplane: kernel }, "PROBE_NOT_SERVED"],
  ["the dataplane sends none", { metrics: nowhere, dataplane: { kind: "userspace", socket: "x" } }, "PROBE_NOT_SERVED"],
  [
    "the status server is for others too",
    { metrics: { ...nowhere, tls: { certificateFile: "c", keyFile: "k", clientAuthorityFile: null } }, dataplane: kernel },
    "PROBE_NOT_SERVED",
  ],
];

for (const [name, config, code] of refusals) {
  test(`probe: ${name}: ${code}`, async () => assert.equal(await codeOf(askForProbes(config, null, signal)), code));
}
