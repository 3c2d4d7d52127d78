import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import {
  agentLines,
  controllerLines,
  faultIn,
  file,
  loadAgent,
  loadController,
} from "../../../test/support/config-file.js";
import { loadAgentConfig, loadFleetConfig } from "./load.js";

/** A line added to the smallest file, or put in place of the line of its field; and what is said. */
const agentFaults: readonly (readonly [string, string, RegExp])[] = [
  [
    "unknown field",
    "jiter: { enabled: false }",
    /:7:1: jiter is no field here; did you mean jitter\? \(fields: schemaVersion, node,/,
  ],
  [
    "unknown inner field",
    "jitter:\n  maximum: 30s",
    /:8:3: jitter\.maximum is no field here \(fields: enabled, mode, max, minNodes\)/,
  ],
  ["advertise-first is no option of an agent", "order: advertise-first", /order is no field here/],
  ["bad choice", "coordination: barier", /:7:1: coordination must be one of barrier, pairwise/],
  [
    "bad number choice",
    "keyFile: { path: keys, ring: 16 }",
    /:5:24: keyFile\.ring must be one of 255, 15/,
  ],
  ["text for a switch", "jitter: { enabled: maybe }", /jitter\.enabled must be true or false/],
  [
    "text for a number",
    "jitter: { minNodes: few }",
    /jitter\.minNodes must be a whole number from 1 to 10000/,
  ],
  ["taint with a value", "ready: { taint: 'spindle.dev/x=y' }", /ready\.taint must be the key of a taint/],
  ["taint without Kubernetes", "ready: { taint: a/b }", /ready\.taint goes with registry\.kind kubernetes, and kind is embedded/],
  ["share above one", "ready: { share: 95 }", /ready\.share must be a number from 0 to 1/],
  [
    "empty mapping",
    "rotation:",
    /:7:1: rotation must be a mapping with the fields duration, drain,/,
  ],
  [
    "unit missing",
    "rotation: { duration: 5 minutes }",
    /rotation\.duration must be a duration such as 500ms, 30s or 5m/,
  ],
  [
    "list for a duration",
    "rotation: { duration: [1] }",
    /rotation\.duration must be a duration such as/,
  ],
  [
    "drain too short",
    "rotation: { drain: 50ms }",
    /rotation\.drain must be a duration .*, from 100ms to 7d/,
  ],
  [
    "drain beyond the deadline",
    "rotation: { drain: 1m, retireDeadline: 30s }",
    /rotation\.drain must be shorter than rotation\.retireDeadline \(30s\)/,
  ],
  ["future format", "schemaVersion: 2", /:1:1: schemaVersion must be 1/],
  [
    "bad name",
    "node: { name: Node_1, addresses: { ipv4: 192.0.2.1 } }",
    /:2:9: node\.name node name must be lower case/,
  ],
  [
    "no address",
    "node: { name: node-1, addresses: {} }",
    /:2:23: node\.addresses needs ipv4, ipv6 or both/,
  ],
  [
    "any address",
    "node: { name: node-1, addresses: { ipv4: 0.0.0.0 } }",
    /node\.addresses\.ipv4 must be an IPv4 address of one host/,
  ],
  [
    "multicast",
    "node: { name: node-1, addresses: { ipv6: ff02::1 } }",
    /node\.addresses\.ipv6 must be an IPv6 address of one host/,
  ],
  [
    "zone",
    "node: { name: node-1, addresses: { ipv6: 'fe80::1%eth0' } }",
    /node\.addresses\.ipv6 must be an IPv6 address/,
  ],
  [
    "port too large",
    "node: { name: n, addresses: { ipv4: 192.0.2.1 }, udpPort: 70000 }",
    /node\.udpPort must be a whole number from 1 to 65535/,
  ],
  [
    "two registries",
    "registry: { socket: s, host: 127.0.0.1, port: 1 }",
    /:4:1: registry has both a socket and a host or port/,
  ],
  ["no registry", "registry: {}", /registry needs socket, or host and port/],
  ["host without port", "registry: { host: 127.0.0.1 }", /registry needs socket, or host and port/],
  [
    "host by name",
    "registry: { host: localhost, port: 1 }",
    /registry\.host must be an IP address \(names are not looked up\)/,
  ],
  [
    "long socket path",
    `dataplane: { socket: /${"x".repeat(107)} }`,
    /dataplane\.socket is 108 bytes as a full path/,
  ],
  ["userspace without socket", "dataplane: {}", /dataplane needs socket, or kind: kernel/],
  [
    "socket of the kernel",
    "dataplane: { kind: kernel, socket: s }",
    /dataplane\.socket goes with kind userspace, and kind is kernel/,
  ],
  [
    "reqid in userspace",
    "dataplane: { socket: s, reqid: 70000 }",
    /dataplane\.reqid goes with kind kernel, and kind is userspace/,
  ],
  [
    "low reqid",
    "dataplane: { kind: kernel, reqid: 1 }",
    /dataplane\.reqid must be a whole number from 65536 to 4294967295/,
  ],
  [
    "replay window",
    "dataplane: { kind: kernel, replayWindow: 8192 }",
    /dataplane\.replayWindow must be a whole number from 32 to 4096/,
  ],
  ["listen without port", "metrics: { listen: 127.0.0.1 }", /metrics\.listen must be HOST:PORT/],
  ["listen by name", "metrics: { listen: 'localhost:9470' }", /metrics\.listen must be HOST:PORT/],
  [
    "listen beyond loopback without a certificate",
    "metrics: { listen: '0.0.0.0:9470' }",
    /metrics\.listen is not a loopback address: it needs metrics\.tls/,
  ],
  [
    "a certificate on a unix socket",
    "metrics: { listen: ./s, tls: { certificate: c, key: k } }",
    /metrics\.tls has no effect on a unix socket/,
  ],
  [
    "a certificate without its key",
    "metrics: { listen: '0.0.0.0:9470', tls: { certificate: c } }",
    /metrics\.tls\.key is missing|metrics\.tls\.key/,
  ],
  [
    "listen port too large",
    "metrics: { listen: '127.0.0.1:70000' }",
    /metrics\.listen must be HOST:PORT/,
  ],
];

for (const [title, line, expected] of agentFaults) {
  test(`config: agent, ${title}: refused with its place`, async () => {
    const field = line.split(":")[0] ?? "";
    const at = agentLines.findIndex((one) => one.startsWith(`${field}:`));
    const lines = at < 0 ? [...agentLines, line] : agentLines.with(at, line);
    const fault = await faultIn(loadAgent(lines));
    assert.equal(fault.code, "CONFIG_INVALID");
    assert.equal(fault.exitCode, 2);
    assert.equal(fault.details.length, 1, fault.details.join("\n"));
    assert.match(fault.details[0] ?? "", expected);
  });
}

for (const line of agentLines) {
  const field = line.split(":")[0] ?? "";
  test(`config: agent, ${field} is required`, async () => {
    const fault = await faultIn(loadAgent(agentLines.filter((one) => one !== line)));
    assert.match(fault.details[0] ?? "", new RegExp(`:1:1: ${field} is missing: `));
  });
}

const controllerFaults: readonly (readonly [string, string, RegExp])[] = [
  [
    "listen and connect",
    "registry: { listen: { socket: a }, connect: { socket: b } }",
    /:4:1: registry has both listen and connect/,
  ],
  [
    "incomplete connect",
    "registry: { connect: { host: 127.0.0.1 } }",
    /:4:13: registry\.connect needs socket, or host and port/,
  ],
  [
    "lease outlives silence",
    "stragglers: { silentAfter: 10s }",
    /:4:15: stragglers\.silentAfter must be longer than lease\.duration \(10s\)/,
  ],
  [
    "bad straggler rule",
    "stragglers: { slow: exclude }",
    /stragglers\.slow must be one of wait, abort/,
  ],
  [
    "keys without Secrets",
    "rotation: { generate: { secret: keys } }",
    /:4:13: rotation\.generate needs registry\.kind kubernetes: there are no Secrets elsewhere/,
  ],
  ["a schedule without keys", "rotation: { every: 30d }", /:4:13: rotation\.every needs rotation\.generate: who makes the key\?/],
  ["bad start", "rotation: { start: automatic }", /rotation\.start must be one of auto, manual/],
];

for (const [title, line, expected] of controllerFaults) {
  test(`config: controller, ${title}: refused with its place`, async () => {
    const fault = await faultIn(loadController([...controllerLines, line]));
    assert.equal(fault.details.length, 1, fault.details.join("\n"));
    assert.match(fault.details[0] ?? "", expected);
  });
}

test("config: all problems are told at once, in the order of the file", async () => {
  const fault = await faultIn(
    loadAgent([...agentLines, "coordination: no", "jiter: 1", "log: { level: loud }"]),
  );
  const lines = fault.details.map((detail) => /:(\d+):\d+: /.exec(detail)?.[1]);
  assert.deepEqual(lines, ["7", "8", "9"]);
  assert.match(fault.message, /config\.yaml has 3 problems$/);
});

const notYaml: readonly (readonly [string, string])[] = [
  ["tab as indent", "node:\n\tname: a\n"],
  ["key given twice", "stateDir: a\nstateDir: b\n"],
  ["open bracket", "node: [1, 2\n"],
  ["two documents", "schemaVersion: 1\n---\nschemaVersion: 1\n"],
  ["alias without anchor", "node: *other\n"],
  ["unknown tag", "node: !secret abc\n"],
  ["empty", ""],
  ["a list", "- a\n"],
];

for (const [title, text] of notYaml) {
  test(`config: ${title} is refused`, async () => {
    writeFileSync(file, text);
    const fault = await faultIn(loadAgentConfig(file));
    assert.equal(fault.code, "CONFIG_INVALID");
    assert.match(fault.details[0] ?? "", /:\d+:\d+: /);
  });
}

const secret = "44434241343332312423222114131211f4f3f2f1";
const keyFiles = [
  `3 rfc4106(gcm(aes)) 0x${secret} 128\n`,
  `3: rfc4106(gcm(aes)) ${secret} 128\n`,
  `key: [${secret}\n`,
  `${secret}: 1\n`,
  `"${secret} 128\n`,
  `@${secret}\n`,
  `key: !${secret} a\n`,
  `key: *${secret}\n`,
  `- ${secret}\n ${secret}: {\n`,
];

for (const text of keyFiles) {
  test(`config: a key file given by mistake is not quoted: ${JSON.stringify(text.replaceAll(secret, "KEY"))}`, async () => {
    writeFileSync(file, text);
    const fault = await faultIn(loadFleetConfig(file));
    assert.equal(fault.exitCode, 2);
    assert.ok(!JSON.stringify(fault).includes(secret), JSON.stringify(fault));
  });
}
