/** The tunnel port over real OpenVPN: two sites in two network namespaces, each in a process that can be killed. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, cpSync, existsSync, openSync, readdirSync, readFileSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openIssuer } from "../../src/adapters/pki/issuer.js";
import { findProcesses } from "../../src/adapters/openvpn/processes.js";
import { sides, type PairIndex, type Side } from "../../src/core/gateway/link.js";
import { gatewayReadiness } from "../../src/core/gateway/readiness.js";
import type { RouteView } from "../../src/core/gateway/report.js";
import { limits } from "../../src/core/limits.js";
import type { Issued } from "../../src/ports/issuer.js";
import type { GatewayRef, LinkObservation, ObservedGateway } from "../../src/ports/tunnel.js";
import { gatewaysMissing } from "../support/gateways.js";
import { makeGatewayWorld, type GatewayWorld } from "../support/gateway-world.js";
import { tracesInMemory } from "../support/memory-scan.js";
import { ip } from "../support/netlink/namespace.js";
import { TunnelProcess } from "../support/tunnel-process.js";

const skip = gatewaysMissing();
const hourMs = 3_600_000;
let world: GatewayWorld;
let sitesOf: Record<Side, TunnelProcess>;

before(async () => {
  if (skip !== false) return;
  world = makeGatewayWorld("spindle-tun");
  sitesOf = { server: await startSite("server"), client: await startSite("client") };
});

after(async () => {
  if (skip !== false) return;
  for (const side of sides) await sitesOf[side].kill();
  await world.close();
});

test("tunnels: a listening end alone is not ready; with its peer both ends are, and the route leads through", { skip }, async () => {
  const issued = await issue(1, 0);
  await start("server", issued);
  // OpenVPN gives the device its address a moment after it was released.
  const alone = await until("server", 1, ({ localAddress }) => localAddress !== null);
  assert.equal(alone.process, "up");
  assert.equal(alone.tunnel, "down");
  assert.equal(verdict("server", alone, issued), "GATEWAY_TUNNEL_DOWN");
  await start("client", issued);
  for (const side of sides) await untilReady(side, issued);
  for (const side of sides) {
    const hops = [{ pair: 0, number: 1, slot: 0 }];
    const view = await sitesOf[side].run<RouteView>("replaceRoute", world.link, side, hops);
    assert.deepEqual(view, { kind: "hops", hops: [{ pair: 0, number: 1 }] });
  }
});

test("tunnels: starting and preparing again change nothing", { skip }, async () => {
  const before = await processIds();
  const first = await sitesOf.client.run<string>("prepare", ref("client", 1, 0));
  assert.equal(await sitesOf.client.run<string>("prepare", ref("client", 1, 0)), first);
  await start("client", issuedOnce.get(1)!);
  assert.deepEqual(await processIds(), before);
});

test("tunnels: sockets and keys are for root alone", { skip }, async () => {
  for (const side of sides) {
    await untilReady(side, issuedOnce.get(1)!);
    const folder = join(world.directory, side, "a-b/p0.g1");
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600, name);
  }
});

test("tunnels: what comes while OpenVPN waits for a processor is kept, as far as the host allows", { skip }, () => {
  const allowed = Number(readFileSync("/proc/sys/net/core/rmem_max", "utf8"));
  // The kernel doubles what it is asked for (socket(7), SO_RCVBUF).
  const expected = 2 * Math.min(limits.gatewayReceiveBufferBytes, allowed);
  const sockets = execFileSync("ip", ["netns", "exec", world.namespaces.server, "ss", "-u", "-a", "-n", "-m"], { encoding: "utf8" });
  assert.match(sockets, new RegExp(`10\\.99\\.0\\.1:11940 .*\\n?.*rb${expected},`));
});

test("tunnels: a site that was killed finds its process and tunnel again", { skip }, async () => {
  const before = await processIds();
  await sitesOf.server.kill();
  sitesOf.server = await startSite("server");
  assert.deepEqual(await processIds(), before);
  await untilReady("server", issuedOnce.get(1)!);
  await untilReady("client", issuedOnce.get(1)!);
});

test("tunnels: a process that a killed site left waiting for its release is released", { skip }, async () => {
  const issued = issuedOnce.get(1)!;
  await sitesOf.client.kill();
  const [running] = await findProcesses(join(world.directory, "client"));
  process.kill(running!.pid, "SIGKILL");
  spawn("ip", ["netns", "exec", world.namespaces.client, "/usr/sbin/openvpn", "--config", running!.configurationPath], {
    stdio: "ignore",
    detached: true,
  }).unref();
  sitesOf.client = await startSite("client");
  for (const side of sides) await untilReady(side, issued);
});

test("tunnels: the peer's last answer stands unprobed, proves nothing after a miss, and is forgotten after three", { skip }, async () => {
  const issued = issuedOnce.get(1)!;
  await untilReady("server", issued);
  const known = await observe("server", 1, []);
  assert.equal(verdict("server", known, issued), "ready");
  // Its OpenVPN goes on, so that the tunnel stays up; nobody answers.
  await sitesOf.client.kill();
  const missed = { ...known.peer, answered: 0 };
  for (let round = 1; round < limits.gatewayProbesMissedMax; round += 1) assert.deepEqual((await observe("server", 1)).peer, missed);
  assert.deepEqual((await observe("server", 1, [])).peer, missed);
  const silent = await observe("server", 1);
  assert.equal(silent.tunnel, "up");
  assert.equal(silent.peer, null);
  assert.equal(silent.remoteAddress, null);
  assert.equal((await observe("server", 1, [])).peer, null);
  sitesOf.client = await startSite("client");
  for (const side of sides) await untilReady(side, issued);
  process.kill((await findProcesses(join(world.directory, "server")))[0]!.pid, "SIGKILL");
  const dead = await until("server", 1, ({ process: state }) => state === "down");
  assert.equal(dead.peer, null, "what is known of a peer ends with the process");
  await start("server", issued);
  for (const side of sides) await untilReady(side, issued);
});

test("tunnels: an old certificate does not get in at the new generation", { skip }, async () => {
  const next = await issue(2, 1);
  await start("server", next);
  const text = await intrude("client", join(world.directory, "client/a-b/p0.g1"));
  assert.doesNotMatch(text, /Initialization Sequence Completed/);
  assert.match(text, /VERIFY OK: depth=0, CN=a\.a-b\.p0\.g2/, "it reached the new generation, and the root is the same");
  assert.equal((await observe("server", 2)).tunnel, "down");
});

test("tunnels: the new generation beside the old one, then the old one goes without a trace", { skip }, async () => {
  const next = issuedOnce.get(2)!;
  await start("client", next);
  for (const side of sides) await untilReady(side, next);
  for (const side of sides) {
    const hops = [{ pair: 0, number: 2, slot: 1 }];
    const view = await sitesOf[side].run<RouteView>("replaceRoute", world.link, side, hops);
    assert.deepEqual(view, { kind: "hops", hops: [{ pair: 0, number: 2 }] });
  }
  for (const side of sides) {
    cpSync(join(world.directory, side, "a-b/p0.g1"), stolen(side), { recursive: true, filter: (path) => !path.endsWith("/m") });
    // What was opened before shows what is left of the key where it lay.
    const key = openSync(join(world.directory, side, "a-b/p0.g1/key.pem"), "r");
    assert.match(contentOf(key), /PRIVATE KEY/);
    await sitesOf[side].run("remove", "a-b", 0, 1);
    await sitesOf[side].run("remove", "a-b", 0, 1);
    assert.match(contentOf(key), /^\0+$/, "overwritten before it was removed");
    closeSync(key);
    assert.ok(!existsSync(join(world.directory, side, "a-b/p0.g1")));
    assert.doesNotMatch(ip("-n", world.namespaces[side], "-o", "link"), /sg[0-9a-f]{8}-0/);
    await untilReady(side, next);
  }
  assert.equal((await processIds()).length, 2);
});

test("tunnels: after done, stolen old certificates get in at neither end; with the present ones the same attempts do", { skip }, async () => {
  const present = issuedOnce.get(2)!;
  const refused = await intrude("client", stolen("client"));
  assert.match(refused, /VERIFY OK: depth=0, CN=a\.a-b\.p0\.g2/, "it reached the live end, and the root is the same");
  assert.doesNotMatch(refused, /Initialization Sequence Completed/);
  // The attempt of a stranger is no change of the tunnel.
  for (const side of sides) assert.equal(verdict(side, await observe(side, 2), present), "ready");
  assert.match(await intrude("client", join(world.directory, "client/a-b/p0.g2")), /Initialization Sequence Completed/);
  // The dialling end calls whoever has the address: there, too, the certificate decides.
  for (const { pid } of await findProcesses(world.directory)) process.kill(pid, "SIGKILL");
  for (const side of sides) await until(side, 2, (view) => view.process === "down");
  const impostor = intrude("server", stolen("server"));
  await start("client", present);
  const text = await impostor;
  assert.match(text, /TLS: Initial packet from \[AF_INET\]10\.99\.0\.2/, "the dialling end called it");
  assert.doesNotMatch(text, /Initialization Sequence Completed/);
  assert.equal((await observe("client", 2)).tunnel, "down");
  await start("server", present);
  for (const side of sides) await untilReady(side, present);
});

test("tunnels: a certificate of another generation, and one without a key, are refused", { skip }, async () => {
  const issued = issuedOnce.get(2)!;
  const { server, client } = issued.credentials.certificates;
  const wrong = { ...issued.credentials, certificates: { server: client, client: server } };
  await sitesOf.server.run("prepare", ref("server", 3, 0));
  const roots = [issued.root];
  const startWrong = sitesOf.server.run("start", ref("server", 3, 0), { ...wrong, number: 3 }, roots);
  await assert.rejects(startWrong, { code: "GATEWAY_CREDENTIALS_REFUSED", retryable: false });
  const keyless = sitesOf.server.run("start", ref("server", 4, 0), { ...issued.credentials, number: 4 }, roots);
  await assert.rejects(keyless, { code: "GATEWAY_KEY_MISSING", retryable: false });
  await sitesOf.server.run("remove", "a-b", 0, 3);
});

test("tunnels: a second generation does not get the place of one that runs", { skip }, async () => {
  const issued = await issue(5, 1);
  await assert.rejects(start("server", issued), { code: "GATEWAY_PLACE_TAKEN", retryable: true });
  await sitesOf.server.run("remove", "a-b", 0, 5);
  await untilReady("server", issuedOnce.get(2)!);
});

test("tunnels: the key of a removed gateway is nowhere in the memory of the site's program", { skip }, async () => {
  const keyOf = (number: number): string => readFileSync(join(world.directory, `server/a-b/p0.g${number}/key.pem`), "utf8");
  const [running] = await findProcesses(join(world.directory, "server"));
  assert.ok(tracesInMemory(running!.pid, keyOf(2)) > 0, "the search finds a key where there is one");
  await issue(6, 0);
  const key = keyOf(6);
  await sitesOf.server.run("remove", "a-b", 0, 6);
  await sitesOf.client.run("remove", "a-b", 0, 6);
  assert.equal(tracesInMemory(sitesOf.server.pid, key), 0);
});

test("tunnels: a route that one of two networks lost is seen, written again, and taken away", { skip }, async () => {
  const lose = (): string => ip("-n", world.namespaces.server, "route", "del", "10.103.0.0/16");
  const routeOf = async (): Promise<RouteView> => (await sitesOf.server.run<LinkObservation>("observe", world.link, [])).route;
  const whole: RouteView = { kind: "hops", hops: [{ pair: 0 as PairIndex, number: 2 }] };
  assert.deepEqual(await routeOf(), whole);
  lose();
  assert.deepEqual(await routeOf(), { kind: "unknown" });
  const hops = [{ pair: 0, number: 2, slot: 1 }];
  assert.deepEqual(await sitesOf.server.run<RouteView>("replaceRoute", world.link, "server", hops), whole);
  lose();
  await sitesOf.server.run("removeRoute", "a-b");
  assert.deepEqual(await routeOf(), { kind: "hops", hops: [] });
});

test("tunnels: a foreign route in the place of ours is told and left alone", { skip }, async () => {
  await sitesOf.server.run("removeRoute", "a-b");
  ip("-n", world.namespaces.server, "route", "add", "10.102.0.0/16", "dev", "lo");
  const hops = [{ pair: 0, number: 2, slot: 1 }];
  const view = await sitesOf.server.run<RouteView>("replaceRoute", world.link, "server", hops);
  assert.equal(view.kind, "foreign");
  assert.match(ip("-n", world.namespaces.server, "route", "show", "10.102.0.0/16"), /dev lo/);
});

test("tunnels: an OpenVPN that is stopped (SIGSTOP) holds up neither the other pair nor its own removal (trap 8)", { skip }, async () => {
  const [first, second] = [issuedOnce.get(2)!, await issue(20, 0)];
  for (const side of sides) await start(side, second);
  for (const side of sides) await untilReady(side, second);
  const both = [ref("server", 2, 1), ref("server", 20, 0)];
  const verdicts = async (): Promise<readonly string[]> => {
    const seen = await sitesOf.server.run<LinkObservation>("observe", world.link, both);
    return [first, second].map((issued) => verdict("server", seen.gateways.find(({ number }) => number === issued.credentials.number)!, issued));
  };
  assert.deepEqual(await verdicts(), ["ready", "ready"]);
  const target = (await findProcesses(join(world.directory, "server"))).find(({ configurationPath }) => configurationPath.includes("/p0.g2/"))!;
  process.kill(target.pid, "SIGSTOP");
  const startedMs = performance.now();
  const [ofStopped, ofOther] = await verdicts();
  assert.notEqual(ofStopped, "ready");
  assert.equal(ofOther, "ready");
  assert.ok(performance.now() - startedMs < limits.gatewayObservationMsMax, "what was seen of the other pair is not yet too old");
  process.kill(target.pid, "SIGCONT");
  await untilReady("server", first);
  process.kill(target.pid, "SIGSTOP");
  await sitesOf.server.run("remove", "a-b", 0, 2);
  assert.ok(!existsSync(`/proc/${target.pid}`) && !existsSync(join(world.directory, "server/a-b/p0.g2")));
  await untilReady("server", second);
});

/** Where what lay in a gateway's directory is kept from its removal. */
function stolen(side: Side): string {
  return join(world.directory, `stolen-${side}`);
}

/**
 * An OpenVPN with the files of a folder that asks no questions itself, against the second generation's other end, for as long as a
 * handshake may take.
 * @returns what it said
 */
async function intrude(side: Side, folder: string): Promise<string> {
  const role =
    side === "client"
      ? ["--tls-client", "--nobind", "--remote", "10.99.0.1", "11941"]
      : ["--tls-server", "--dh", "none", "--local", "10.99.0.1", "--port", "11941"];
  const child = spawn("ip", [
    ...["netns", "exec", world.namespaces[side], "/usr/sbin/openvpn", "--dev", "intruder", "--dev-type", "tun", "--verb", "3"],
    ...["--ifconfig", "169.254.99.1", "169.254.99.2", "--proto", "udp4", "--data-ciphers", "AES-256-GCM", "--ping", "2", ...role],
    ...["--ca", join(folder, "roots.pem"), "--cert", join(folder, "certificate.pem"), "--key", join(folder, "key.pem")],
  ]);
  let text = "";
  let handshake: NodeJS.Timeout | undefined;
  child.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
    if (text.includes("Initialization Sequence Completed")) child.kill();
    if (text.includes("TLS: Initial packet")) handshake ??= setTimeout(() => child.kill(), 3_000);
  });
  const ended = new Promise((done) => child.once("exit", done));
  const deadline = setTimeout(() => child.kill(), 15_000);
  await ended;
  for (const timer of [deadline, handshake]) clearTimeout(timer);
  return text;
}

function contentOf(file: number): string {
  const buffer = Buffer.alloc(4_096);
  return buffer.subarray(0, readSync(file, buffer, 0, buffer.length, 0)).toString("latin1");
}

const issuedOnce = new Map<number, Issued>();

async function issue(number: number, slot: 0 | 1): Promise<Issued> {
  const issuer = openIssuer({
    directory: join(world.directory, "hub"),
    lifetimes: { rootMs: 48 * hourMs, leafMs: hourMs },
    now: () => new Date(),
  });
  const csrs = {
    server: await sitesOf.server.run<string>("prepare", ref("server", number, slot)),
    client: await sitesOf.client.run<string>("prepare", ref("client", number, slot)),
  };
  const issued = await new Promise<Issued>((done, failed) => {
    issuer.issue({ link: world.link, pair: pairFor(number), number, slot, csrs }, (result) => {
      if (result.ok) done(result.value);
      else failed(new Error(result.error.message));
    });
  });
  issuedOnce.set(number, issued);
  return issued;
}

/** Generations from 20 on are the second pair's. */
function pairFor(number: number): PairIndex {
  return (number < 20 ? 0 : 1) as PairIndex;
}

function startSite(side: Side): Promise<TunnelProcess> {
  return TunnelProcess.start(world.namespaces[side], {
    directory: join(world.directory, side),
    site: world.link[side],
    links: [world.settings[side]],
  });
}

function ref(side: Side, number: number, slot: 0 | 1): GatewayRef {
  return { link: world.link, side, pair: pairFor(number), number, slot };
}

async function start(side: Side, { credentials, root }: Issued): Promise<void> {
  await sitesOf[side].run("start", ref(side, credentials.number, credentials.slot), credentials, [root]);
}

async function observe(side: Side, number: number, probed = [ref(side, number, 0)]): Promise<ObservedGateway> {
  const seen = await sitesOf[side].run<LinkObservation>("observe", world.link, probed);
  return seen.gateways.find((one) => one.number === number)!;
}

function verdict(side: Side, view: ObservedGateway, { credentials }: Issued): string {
  const peer = world.link[side === "server" ? "client" : "server"];
  const readiness = gatewayReadiness({ pair: pairFor(credentials.number), side, peer, credentials }, view, 0);
  return readiness.kind === "ready" ? "ready" : readiness.code;
}

async function untilReady(side: Side, issued: Issued): Promise<void> {
  const endMs = performance.now() + 20_000;
  let seen = "";
  while (performance.now() < endMs) {
    const view = await observe(side, issued.credentials.number);
    seen = verdict(side, view, issued);
    if (seen === "ready") return;
    await new Promise((next) => setTimeout(next, 100));
  }
  assert.fail(`${side}: ${seen}`);
}

async function until(side: Side, number: number, isSo: (view: ObservedGateway) => boolean): Promise<ObservedGateway> {
  const endMs = performance.now() + 5_000;
  while (performance.now() < endMs) {
    const view = await observe(side, number, []);
    if (isSo(view)) return view;
    await new Promise((next) => setTimeout(next, 20));
  }
  return assert.fail(`${side}: generation ${number} does not come to what is waited for`);
}

async function processIds(): Promise<readonly number[]> {
  return (await findProcesses(world.directory)).map(({ pid }) => pid).sort((one, other) => one - other);
}
