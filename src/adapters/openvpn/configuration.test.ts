import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fingerprint, LinkName, PairIndex } from "../../core/gateway/link.js";
import { limits } from "../../core/limits.js";
import type { CommonName } from "../pki/common-name.js";
import { gatewayName } from "../pki/gateway-name.js";
import type { SiteName } from "../../core/gateway/link.js";
import { renderConfiguration, type ProcessSettings } from "./configuration.js";
import { placeOf, placesMax, type LinkSettings } from "./place.js";

const settings: LinkSettings = {
  name: "w-1-w-10" as LinkName,
  address: "192.0.2.1",
  firstPort: 11_940,
  tunnelNetwork: "169.254.77.0",
  remoteNetworks: [],
  preferredSource: null,
};

const valid: ProcessSettings = {
  side: "server",
  place: placeOf(settings, "server", 0 as PairIndex, 0),
  address: "192.0.2.1",
  peerName: "w-10.w-1-w-10.p0.g1" as CommonName,
  peerFingerprint: "ab".repeat(32) as Fingerprint,
  files: {
    certificate: "/var/lib/spindle/certificate.pem",
    key: "/var/lib/spindle/key.pem",
    roots: "/var/lib/spindle/roots.pem",
    managementSocket: "/var/lib/spindle/m",
  },
};

test("configuration: the server listens, the client dials, and each expects one certificate", () => {
  const server = renderConfiguration(valid).split("\n");
  assert.ok(server.includes("local 192.0.2.1"));
  assert.ok(server.includes("port 11940"));
  assert.ok(server.includes("remote-cert-tls client"));
  assert.ok(server.includes(`peer-fingerprint ${Array(32).fill("AB").join(":")}`));
  assert.ok(server.includes("verify-x509-name w-10.w-1-w-10.p0.g1 name"));
  const client = renderConfiguration({ ...valid, side: "client", address: "2001:db8::1" }).split("\n");
  assert.ok(client.includes("remote 2001:db8::1 11940 udp6"));
  assert.ok(!client.some((line) => line.startsWith("local ")));
});

const { files, place } = valid;
const injections: Readonly<Record<string, ProcessSettings>> = {
  "a line break in a path": { ...valid, files: { ...files, key: "/tmp/key\nup /bin/sh" } },
  "a blank in a path": { ...valid, files: { ...files, roots: "/tmp/a b" } },
  "a quote in a path": { ...valid, files: { ...files, managementSocket: '/tmp/"m' } },
  "a relative path": { ...valid, files: { ...files, certificate: "certificate.pem" } },
  "a name with an option": { ...valid, peerName: "w-10 name\nplugin x" as CommonName },
  "a host name": { ...valid, address: "example.org" },
  "an address with a port": { ...valid, address: "192.0.2.1 1194" },
  "an address with a zone": { ...valid, address: "fe80::1%eth0" },
  "a short fingerprint": { ...valid, peerFingerprint: "ab" as Fingerprint },
  "a device with a path": { ...valid, place: { ...place, device: "../tun" } },
  "a device too long": { ...valid, place: { ...place, device: "a".repeat(16) } },
  "a tunnel address that is none": { ...valid, place: { ...place, localAddress: "10.0.0.1 10.0.0.2" } },
  "no port": { ...valid, place: { ...place, port: 0 } },
  "a port too high": { ...valid, place: { ...place, port: 65_536 } },
};
for (const [what, hostile] of Object.entries(injections)) {
  test(`configuration: ${what} is refused`, () => {
    assert.throws(() => renderConfiguration(hostile), { code: "OPENVPN_SETTING_REFUSED", retryable: false });
  });
}

test("place: no two gateways of a link share device, port or address, and both ends agree", () => {
  const seen = new Set<string | number>();
  for (let pair = 0; pair < limits.gatewayPairsMax; pair += 1) {
    for (const slot of [0, 1] as const) {
      const server = placeOf(settings, "server", pair as PairIndex, slot);
      const client = placeOf(settings, "client", pair as PairIndex, slot);
      assert.deepEqual(client, { ...server, localAddress: server.remoteAddress, remoteAddress: server.localAddress });
      assert.ok(server.device.length <= 15);
      for (const value of Object.values(server)) seen.add(value as string | number);
    }
  }
  assert.equal(seen.size, 4 * placesMax);
});

test("gateway name: readable while it fits, never the same for two gateways, never too long", () => {
  const long = "a".repeat(limits.gatewayNameLengthMax);
  const name = (site: string, link: string): string =>
    gatewayName(site as SiteName, link as LinkName, 1 as PairIndex, Number.MAX_SAFE_INTEGER);
  assert.equal(name("w-1", "l"), `w-1.l.p1.g${Number.MAX_SAFE_INTEGER}`);
  assert.notEqual(name(long, "l"), name("l", long));
  assert.ok(name(long, long).length <= 64);
});
