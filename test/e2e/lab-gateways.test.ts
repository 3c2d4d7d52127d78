/** `spindle lab --gateways` as a user runs it: real OpenVPN in two network namespaces of this machine. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { findProcesses } from "../../src/adapters/openvpn/processes.js";
import type { GatewayStatus } from "../../src/cli/gateway/status.js";
import { fieldErrors } from "../../src/lab/gateways/trigger-first.js";
import type { GatewayLabReport } from "../../src/lab/gateways/gateway-report.js";
import { skipWithoutEtcd } from "../support/etcd.js";
import { gatewaysMissing } from "../support/gateways.js";
import { skipWithoutKubernetes } from "../support/kubernetes.js";
import { runSpindle, startSpindle, summaryOf } from "../support/lab.js";

const skip = gatewaysMissing();

test("lab --gateways: two pairs rotate under traffic; nothing is lost, nothing is logged", { skip }, async () => {
  const result = await runSpindle("lab", "--gateways", "2", "--rotations", "1", "--json");
  assert.equal(result.code, 0, summaryOf(result));
  const report = JSON.parse(result.stdout) as GatewayLabReport;
  const { traffic, rotations, ok } = report;
  assert.ok(ok);
  assert.equal(rotations.length, 1);
  assert.equal(traffic.lost, 0);
  assert.ok(traffic.sent > 1_000, `${traffic.sent} pings`);
  assert.ok(traffic.streamBytes > 1_000_000, `${traffic.streamBytes} bytes`);
  assert.deepEqual(rotations[0]?.errors, {});
  assert.ok(rotations[0].durationMs < 60_000, `${rotations[0].durationMs} ms`);
});

for (const [registry, missing] of [["etcd", await skipWithoutEtcd()], ["kubernetes", skipWithoutKubernetes]] as const) {
  test(`lab --gateways --registry ${registry}: hub and sites meet there, and nothing is lost`, { skip: skip === false ? missing : skip }, async () => {
    const result = await runSpindle("lab", "--gateways", "1", "--rotations", "1", "--registry", registry, "--json");
    assert.equal(result.code, 0, summaryOf(result));
    const { ok, options, traffic, rotations } = JSON.parse(result.stdout) as GatewayLabReport;
    assert.ok(ok);
    assert.equal(options.registry, registry);
    assert.equal(traffic.lost, 0);
    assert.deepEqual(rotations.map(({ outcome }) => outcome), ["done"]);
  });
}

test("lab --gateways --behaviour trigger-first: the field's failure, by the field's errors", { skip }, async () => {
  const result = await runSpindle("lab", "--gateways", "2", "--rotations", "1", "--behaviour", "trigger-first", "--json");
  assert.equal(result.code, 1, summaryOf(result));
  const { traffic, rotations, problems } = JSON.parse(result.stdout) as GatewayLabReport;
  assert.deepEqual(problems, []);
  assert.ok(traffic.lost > 0, "the old gateway goes before the new one is there");
  const errors = rotations[0]?.errors ?? {};
  const known: readonly string[] = Object.values(fieldErrors);
  assert.deepEqual(Object.keys(errors).filter((text) => !known.includes(text)), []);
  assert.ok((errors[fieldErrors.notUp] ?? 0) > 0, JSON.stringify(errors));
  assert.equal(errors[fieldErrors.notUp], errors[fieldErrors.context], "one fault, counted twice");
});

test("lab --gateways: an interrupt leaves no process, device, namespace or file", { skip }, async () => {
  const temporary = mkdtempSync(join(tmpdir(), "spindle-e2e-"));
  try {
    const child = startSpindle(["lab", "--gateways", "2", "--rotations", "50"], temporary);
    let stderr = "";
    const flowing = new Promise<void>((resolve) => {
      child.stderr?.on("data", (chunk: Buffer) => {
        stderr += chunk.toString();
        if (stderr.includes("traffic goes through the link")) resolve();
      });
    });
    await Promise.race([flowing, once(child, "close")]);
    assert.equal((await findProcesses(temporary)).length, 4, stderr);
    await checkCommands(join(temporary, readdirSync(temporary)[0]!, "hub/config.yaml"));
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number];
    assert.equal(code, 1, stderr);
    assert.match(stderr, /LAB_INTERRUPTED/);
    assert.deepEqual(await findProcesses(temporary), []);
    assert.deepEqual(readdirSync(temporary), []);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
});

/** What an operator asks of the running link. */
async function checkCommands(config: string): Promise<void> {
  const status = await runSpindle("gateway", "status", "--config", config, "--json");
  const { links } = JSON.parse(status.stdout) as GatewayStatus;
  assert.deepEqual(links.map(({ link, gateways }) => [link, gateways.filter(({ phase }) => phase === null).length]), [["a-b", 4]]);
  const ordered = await runSpindle("gateway", "rotate", "a-b", "--reason", "a test", "--config", config);
  assert.equal(ordered.code, 0, summaryOf(ordered));
  const unknown = await runSpindle("gateway", "rotate", "a-bb", "--reason", "a test", "--config", config);
  assert.equal(unknown.code, 2, summaryOf(unknown));
  assert.match(unknown.stderr, /GATEWAY_LINK_UNKNOWN/);
  const none = await runSpindle("gateway", "rotate", "--reason", "a test", "--config", config);
  assert.equal(none.code, 2, summaryOf(none));
}

test("lab: options of nodes and of gateways are not mixed", async () => {
  for (const words of [["--gateways", "2", "--nodes", "5"], ["--behaviour", "trigger-first"], ["--gateways", "2", "--behaviour", "trigger-first", "--registry", "etcd"], ["--gateways", "17"], ["--gateways", "0"]]) {
    const result = await runSpindle("lab", ...words);
    assert.equal(result.code, 2, summaryOf(result));
    assert.match(result.stderr, /BAD_USAGE/);
  }
});
