import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import {
  agentLines,
  controllerLines,
  faultIn,
  folder,
  loadAgent,
  loadController,
} from "../../../test/support/config-file.js";

function agentWith(etcd: string): readonly string[] {
  return agentLines.with(3, `registry: { kind: etcd, etcd: ${etcd} }`);
}

test("config: a registry in etcd, with TLS and a user", async () => {
  const tls = "tls: { ca: ca.pem, certificate: c.pem, key: c.key }";
  const login = "login: { user: spindle, passwordFile: password }";
  const endpoints = "['https://etcd-1.example:2379', 'https://[2001:db8::1]:2379/']";
  const { config, warnings } = await loadAgent(
    agentWith(`{ endpoints: ${endpoints}, prefix: /fleet-1/, ${tls}, ${login} }`),
  );
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.registry, {
    kind: "etcd",
    endpoints: [
      { host: "etcd-1.example", port: 2379 },
      { host: "2001:db8::1", port: 2379 },
    ],
    prefix: "/fleet-1/",
    tls: {
      caFile: join(folder, "ca.pem"),
      client: { certificateFile: join(folder, "c.pem"), keyFile: join(folder, "c.key") },
    },
    login: { user: "spindle", passwordFile: join(folder, "password") },
  });
});

test("config: a controller connects to etcd; without TLS on loopback alone", async () => {
  const line = "registry: { kind: etcd, etcd: { endpoints: ['http://127.0.0.1:2379'] } }";
  const { config } = await loadController([...controllerLines, line]);
  const target = {
    kind: "etcd",
    endpoints: [{ host: "127.0.0.1", port: 2379 }],
    prefix: "/spindle/",
    tls: null,
    login: null,
  };
  assert.deepEqual(config.registry, { role: "connect", target });
});

test("config: a pairwise fleet on etcd needs no controller", async () => {
  const line = "registry: { kind: etcd, etcd: { endpoints: ['http://127.0.0.1:2379'] } }";
  const { warnings } = await loadController([...controllerLines, "coordination: pairwise", line]);
  assert.match(warnings[0] ?? "", /coordination is pairwise .*: this controller does nothing$/);
});

const faults: readonly (readonly [string, string, RegExp])[] = [
  ["no section", "{ kind: etcd }", /registry\.etcd is missing: registry\.kind is etcd$/],
  [
    "a socket besides",
    "{ kind: etcd, socket: a, etcd: { endpoints: ['http://127.0.0.1:1'] } }",
    /registry\.socket does not go with registry\.kind etcd$/,
  ],
  [
    "another kind",
    "{ socket: a, etcd: { endpoints: ['http://127.0.0.1:1'] } }",
    /registry\.etcd does not go with registry\.kind embedded$/,
  ],
  ["no endpoint", "{ kind: etcd, etcd: { endpoints: [] } }", /endpoints must be a list of 1 to 16/],
  [
    "an endpoint without a scheme",
    "{ kind: etcd, etcd: { endpoints: ['127.0.0.1:2379'] } }",
    /endpoints\.0 must be https:\/\/HOST:PORT/,
  ],
  [
    "plain text in the network",
    "{ kind: etcd, etcd: { endpoints: ['http://192.0.2.1:2379'] } }",
    /endpoints has http beyond loopback/,
  ],
  [
    "two schemes",
    "{ kind: etcd, etcd: { endpoints: ['http://127.0.0.1:1', 'https://a:1'] } }",
    /endpoints mixes https and http/,
  ],
  [
    "a certificate without its key",
    "{ kind: etcd, etcd: { endpoints: ['https://a:1'], tls: { certificate: c } } }",
    /tls needs certificate and key, or neither/,
  ],
  [
    "TLS files without TLS",
    "{ kind: etcd, etcd: { endpoints: ['http://127.0.0.1:1'], tls: { ca: c } } }",
    /tls has no effect with http endpoints/,
  ],
  [
    "a prefix that is no folder",
    "{ kind: etcd, etcd: { endpoints: ['http://127.0.0.1:1'], prefix: spindle } }",
    /prefix must be one or more names/,
  ],
];

for (const [title, section, expected] of faults) {
  test(`config: etcd with ${title} is refused with its place`, async () => {
    const fault = await faultIn(loadAgent(agentLines.with(3, `registry: ${section}`)));
    assert.equal(fault.code, "CONFIG_INVALID");
    assert.equal(fault.details.length, 1, fault.details.join("\n"));
    assert.match(fault.details[0] ?? "", expected);
  });
}

test("config: CIDRs that would cut the agent off from its etcd are refused", async () => {
  const etcd = agentWith("{ endpoints: ['https://10.0.0.5:2379'] }");
  const lines = etcd.map((line) => (line.startsWith("dataplane:") ? "dataplane: { kind: kernel }" : line));
  const fault = await faultIn(loadAgent([...lines, "policy: { cidrs: [10.0.0.0/8] }"]));
  assert.match(fault.details.join("\n"), /must hold 2379: the registry at 10\.0\.0\.5 is within 10\.0\.0\.0\/8/);
  await loadAgent([...lines, "policy: { cidrs: [10.0.0.0/8], bypass: { tcpPorts: [2379] } }"]);
});
