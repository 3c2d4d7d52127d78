/** The files of hub and site: what is refused, and in which words. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { limits } from "../../core/limits.js";
import { CliError } from "../exit.js";
import { loadGatewayTarget, loadHubConfig, loadSiteConfig } from "./load.js";

const folder = mkdtempSync(join(tmpdir(), "spindle-gateway-config-"));
after(() => rmSync(folder, { recursive: true }));

const link = { name: "a-b", server: "a", client: "b" };
const hub = { schemaVersion: 1, name: "hub", stateDir: "state", links: [link] };
const siteLink = {
  name: "a-b",
  address: "192.0.2.1",
  firstPort: 11_940,
  tunnelNetwork: "169.254.77.0",
  remoteNetworks: ["10.102.0.0/16"],
};
const site = { schemaVersion: 1, site: "a", stateDir: "/var/lib/site", registry: { socket: "/run/r.sock" }, links: [siteLink] };
const second = { ...siteLink, name: "a-c", firstPort: 12_000, tunnelNetwork: "169.254.77.64", remoteNetworks: ["10.103.0.0/16"] };

test("hub: renewal at half of the lifetime, and two pairs unless said otherwise", async () => {
  const { config } = await loadHubConfig(write(hub));
  assert.equal(config.rotation.renewBeforeMs, config.certificates.leafMs / 2);
  assert.equal(config.links?.[0]?.pairs, 2);
});

test("hub: without links it takes those of the registry", async () => {
  const { links: _links, ...without } = hub;
  assert.equal((await loadHubConfig(write(without))).config.links, null);
});

test("site: two links beside each other", async () => {
  const { config } = await loadSiteConfig(write({ ...site, links: [siteLink, second] }));
  assert.deepEqual(config.links.map(({ name }) => name), ["a-b", "a-c"]);
});

test("gateway commands: the registry is found in the file of either", async () => {
  assert.deepEqual(await loadGatewayTarget(write(site)), { kind: "embedded", address: { kind: "unix", path: "/run/r.sock" } });
  const path = join(folder, "state/registry.sock");
  assert.deepEqual(await loadGatewayTarget(write(hub)), { kind: "embedded", address: { kind: "unix", path } });
});

const hubFaults: readonly (readonly [string, object, RegExp])[] = [
  ["no link", { links: [] }, /links must be a list of links/],
  ["a hostile name", { links: [{ ...link, name: "a b\n" }] }, /links\.0\.name link name must be lower-case/],
  ["a site joined with itself", { links: [{ ...link, client: "a" }] }, /links\.0 is refused: .*joins site a with itself/],
  ["one name twice", { links: [link, link] }, /links\.1\.name is the name of an earlier link/],
  ["too many pairs", { links: [{ ...link, pairs: limits.gatewayPairsMax + 1 }] }, /links\.0\.pairs must be a whole number from 1 to 16/],
  ["a certificate that is renewed before its round", { certificates: { lifetime: "100h" } }, /certificates\.lifetime must be longer than 4d 4h, twice the sum of rotation\.interval, two jitters and hold/],
  ["a root that ends too early", { certificates: { rootLifetime: "200h" } }, /certificates\.rootLifetime must be at least twice/],
];
for (const [what, change, words] of hubFaults) {
  test(`hub: ${what} is refused`, async () => {
    await assert.rejects(loadHubConfig(write({ ...hub, ...change })), refusal(words));
  });
}

test("site: links may be in a cluster's custom resources", async () => {
  const file = write({ ...site, registry: { kind: "kubernetes", kubernetes: { namespace: "spindle" } } });
  const { config } = await loadSiteConfig(file);
  assert.deepEqual(config.registry, { kind: "kubernetes", kubeconfig: null, context: null, namespace: "spindle" });
});

const siteFaults: readonly (readonly [string, object, RegExp])[] = [
  ["a host name", { links: [{ ...siteLink, address: "vpn.example" }] }, /links\.0\.address must be an IP address/],
  ["an IPv6 network", { links: [{ ...siteLink, remoteNetworks: ["fd00::/48"] }] }, /links\.0\.remoteNetworks\.0 must be an IPv4 network/],
  ["a network with bits of a host", { links: [{ ...siteLink, remoteNetworks: ["10.1.2.3/16"] }] }, /without bits of a host/],
  ["a tunnel network that does not begin where it must", { links: [{ ...siteLink, tunnelNetwork: "169.254.77.8" }] }, /tunnelNetwork must be the first address of 64/],
  ["ports beyond the last", { links: [{ ...siteLink, firstPort: 65_520 }] }, /links\.0\.firstPort must be a whole number/],
  ["one name twice", { links: [siteLink, { ...second, name: "a-b" }] }, /links\.1\.name is the name of an earlier link/],
  ["tunnel networks that overlap", { links: [siteLink, { ...second, tunnelNetwork: "169.254.77.0" }] }, /links\.1\.tunnelNetwork overlaps/],
  ["ports that overlap", { links: [siteLink, { ...second, firstPort: 11_971 }] }, /links\.1\.firstPort is within 32 ports/],
  ["networks of a link that overlap", { links: [{ ...siteLink, remoteNetworks: ["10.102.0.0/16", "10.102.3.0/24"] }] }, /overlap each other/],
  ["networks that overlap", { links: [siteLink, { ...second, remoteNetworks: ["10.102.3.0/24"] }] }, /links\.1\.remoteNetworks overlap/],
  ["a state directory with a blank", { stateDir: "/var/lib/my site" }, /stateDir may have letters, digits/],
  ["a state directory too long for a socket", { stateDir: `/var/lib/${"s".repeat(80)}` }, /stateDir is \d+ bytes as a full path/],
  ["a drain that never ends in time", { drain: { idle: "60s", max: "60s" } }, /drain\.idle must be shorter than drain\.max/],
];
for (const [what, change, words] of siteFaults) {
  test(`site: ${what} is refused`, async () => {
    await assert.rejects(loadSiteConfig(write({ ...site, ...change })), refusal(words));
  });
}

function write(content: object): string {
  const file = join(folder, "config.yaml");
  writeFileSync(file, JSON.stringify(content));
  return file;
}

function refusal(words: RegExp): (cause: unknown) => boolean {
  return (cause) => {
    assert.ok(cause instanceof CliError);
    assert.equal(cause.fault.exitCode, 2);
    assert.match(cause.fault.details.join("\n"), words);
    return true;
  };
}
