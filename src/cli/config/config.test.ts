import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  agentLines,
  controllerLines,
  faultIn,
  file,
  folder,
  loadAgent,
  loadController,
} from "../../../test/support/config-file.js";
import { findConfig, loadAgentConfig, loadFleetConfig } from "./load.js";

test("config: an agent needs six fields, the rest has defaults", async () => {
  const { config, warnings } = await loadAgent(agentLines);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    schemaVersion: 1,
    node: { name: "node-1", addresses: { ipv4: "192.0.2.1", ipv6: null, udpPort: 4500 } },
    stateDir: join(folder, "state"),
    registry: { kind: "embedded", address: { kind: "unix", path: join(folder, "registry.sock") } },
    coordination: "barrier",
    keyFile: { path: join(folder, "keys"), ring: 255, strictPermissions: false, pollMs: 5_000 },
    dataplane: { kind: "userspace", socket: join(folder, "dataplane.sock") },
    policy: { level: "require", guard: null },
    jitter: { enabled: true, mode: "uniform", maxMs: 150_000, minNodes: 50 },
    rotation: {
      durationMs: 300_000,
      drainMs: 3_000,
      retireDeadlineMs: 600_000,
      emergencyDeadlineMs: 30_000,
    },
    report: { intervalMs: 1_000 },
    lease: { durationMs: 10_000 },
    ready: { share: 0.95, timeoutMs: 60_000, taint: null },
    roster: { massDeletionShare: 0.5 },
    metrics: { listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, tls: null },
    log: { level: "info" },
  });
});

test("config: a controller needs three fields, the rest has defaults", async () => {
  const { config, warnings } = await loadController(controllerLines);
  assert.deepEqual(warnings, []);
  assert.deepEqual(config, {
    schemaVersion: 1,
    name: "controller-1",
    stateDir: join(folder, "state"),
    registry: {
      kind: "embedded",
      role: "serve",
      address: { kind: "unix", path: join(folder, "state", "registry.sock") },
    },
    coordination: "barrier",
    keyFile: { ring: 255 },
    rotation: {
      start: "auto",
      durationMs: 300_000,
      drainMs: 3_000,
      stageDeadlineMs: 600_000,
      retireDeadlineMs: 600_000,
      emergencyDeadlineMs: 30_000,
      generate: null,
      everyMs: null,
    },
    stragglers: { slow: "wait", silent: "exclude", silentAfterMs: 30_000, excludeShareMax: 0.1 },
    preflight: { jitterMaxMs: 150_000, jitterMinNodes: 50, keyDistributionMs: 5_000 },
    lease: { durationMs: 10_000 },
    metrics: { listen: { kind: "tcp", host: "127.0.0.1", port: 0 }, tls: null },
    log: { level: "info" },
  });
});

test("config: a jitter maximum above the duration is capped with a warning", async () => {
  const lines = [...agentLines, "rotation: { duration: 1m }", "jitter: { max: 90s }"];
  const { config, warnings } = await loadAgent(lines);
  assert.equal(config.jitter.maxMs, 60_000);
  assert.equal(warnings.length, 1);
  assert.match(
    warnings[0] ?? "",
    /:8:11: jitter\.max is above rotation\.duration and is capped at 1m$/,
  );
});

test("config: a lease as long as silence is accepted with a warning", async () => {
  const { warnings } = await loadAgent([...agentLines, "lease: { duration: 30s }"]);
  assert.match(warnings[0] ?? "", /lease\.duration is not below the controller's default/);
});

test("config: rotations started by hand are nothing in pairwise coordination", async () => {
  const { warnings } = await loadController([
    ...controllerLines,
    "coordination: pairwise",
    "rotation: { start: manual }",
  ]);
  assert.match(warnings[0] ?? "", /rotation\.start has no effect in pairwise/);
});

const jitters: readonly (readonly [string, number])[] = [
  ["rotation: { duration: 10m }", 300_000],
  ["jitter: { max: 0 }", 0],
  ["jitter: { max: 300s }", 300_000],
  ["rotation: { duration: 15 }", 7],
];

for (const [line, maxMs] of jitters) {
  test(`config: ${line} gives a jitter below ${maxMs} ms`, async () => {
    assert.equal((await loadAgent([...agentLines, line])).config.jitter.maxMs, maxMs);
  });
}

test("config: two spellings of an IPv6 address are one", async () => {
  const line = "node: { name: node-1, addresses: { ipv6: '2001:DB8:0:0::1' } }";
  const { config } = await loadAgent(agentLines.with(1, line));
  assert.equal(config.node.addresses.ipv6, "2001:db8::1");
});

test("config: the status server can be off, or on a unix socket", async () => {
  const off = await loadAgent([...agentLines, "metrics: { enabled: false }"]);
  assert.equal(off.config.metrics, null);
  const unix = await loadAgent([...agentLines, "metrics: { listen: ./status.sock }"]);
  assert.deepEqual(unix.config.metrics, {
    listen: { kind: "unix", path: join(folder, "status.sock") },
    tls: null,
  });
  const six = await loadAgent([...agentLines, "metrics: { listen: '[::1]:9470' }"]);
  assert.deepEqual(six.config.metrics, { listen: { kind: "tcp", host: "::1", port: 9470 }, tls: null });
});

test("config: beyond loopback the status server has a certificate", async () => {
  const tls = "tls: { certificate: s.pem, key: s.key, clientCa: /etc/prometheus-ca.pem }";
  const { config } = await loadController([...controllerLines, `metrics: { listen: '192.0.2.1:9470', ${tls} }`]);
  assert.deepEqual(config.metrics, {
    listen: { kind: "tcp", host: "192.0.2.1", port: 9470 },
    tls: {
      certificateFile: join(folder, "s.pem"),
      keyFile: join(folder, "s.key"),
      clientAuthorityFile: "/etc/prometheus-ca.pem",
    },
  });
});

test("config: the kernel's dataplane sends plain ESP and needs no socket", async () => {
  const lines = agentLines.with(5, "dataplane: { kind: kernel }");
  const { config } = await loadAgent(lines);
  assert.deepEqual(config.dataplane, { kind: "kernel", reqid: 0x5350_0001, replayWindow: 1_024,
    provesPaths: true,
    probePort: 11_192, besideCilium: false });
  assert.equal(config.node.addresses.udpPort, null);
  const node = "node: { name: node-1, addresses: { ipv4: 192.0.2.1 }, udpPort: 4500 }";
  const fault = await faultIn(loadAgent(lines.with(1, node)));
  assert.match(fault.details[0] ?? "", /node\.udpPort goes with dataplane\.encapsulation udp/);
  const udp = await loadAgent(agentLines.with(5, "dataplane: { kind: kernel, encapsulation: udp }"));
  assert.equal(udp.config.node.addresses.udpPort, 4500);
});

test("config: a further controller connects to the registry of the first", async () => {
  const { config } = await loadController([
    ...controllerLines,
    "registry: { connect: { host: 127.0.0.1, port: 9472 } }",
  ]);
  assert.deepEqual(config.registry, {
    role: "connect",
    target: { kind: "embedded", address: { kind: "tcp", host: "127.0.0.1", port: 9472 } },
  });
});

test("config: operator commands read either program's file", async () => {
  writeFileSync(file, agentLines.join("\n"));
  assert.equal((await loadFleetConfig(file)).config.kind, "agent");
  writeFileSync(file, controllerLines.join("\n"));
  assert.equal((await loadFleetConfig(file)).config.kind, "controller");
});

test("config: the file is the one given, else the one in SPINDLE_CONFIG", async () => {
  assert.equal(findConfig("a.yaml", { SPINDLE_CONFIG: "b.yaml" }), "a.yaml");
  assert.equal(findConfig(undefined, { SPINDLE_CONFIG: "b.yaml" }), "b.yaml");
  const fault = await faultIn(
    Promise.resolve().then(() => findConfig(undefined, { SPINDLE_CONFIG: "" })),
  );
  assert.equal(fault.code, "CONFIG_NOT_GIVEN");
  assert.equal(fault.exitCode, 2);
});

test("config: a file that cannot be read is told from one that is wrong", async () => {
  for (const path of [join(folder, "absent.yaml"), folder]) {
    const fault = await faultIn(loadAgentConfig(path));
    assert.equal(fault.code, "CONFIG_UNREADABLE");
    assert.equal(fault.exitCode, 2);
  }
});

test("config: a file beyond the limit is not read", async () => {
  writeFileSync(file, "#".repeat(256 * 1024 + 1));
  assert.match((await faultIn(loadAgentConfig(file))).message, /larger than 262144 bytes/);
});
