import assert from "node:assert/strict";
import { copyFileSync, existsSync, linkSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { request as secureRequest } from "node:https";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { TLSSocket } from "node:tls";
import type { ServiceAddress } from "../ports/service-address.js";
import { formatServiceAddress, isLoopback } from "./listen.js";
import { makeAgentMetrics } from "./metrics/agent-metrics.js";
import { makeRoutes, startStatusServer, type StatusServer, type StatusServerOptions, type StatusSource } from "./server.js";
import type { PathCheck, SaListing } from "./status.js";
import type { ServiceTls } from "./tls.js";
import { TestAuthority, type Issued } from "../../test/support/certificates.js";
import { agentStatus } from "../../test/support/status.js";

const source: StatusSource = {
  status: () => agentStatus,
  healthy: () => ({ ok: true, reasons: [] }),
  ready: () => ({ ok: false, reasons: ["2 of 4 peers covered"] }),
  metrics: makeAgentMetrics(() => agentStatus),
};

const anyPort: ServiceAddress = { kind: "tcp", host: "127.0.0.1", port: 0 };

async function start(context: TestContext, at: ServiceAddress): Promise<StatusServer> {
  const started = await startStatusServer(at, source);
  if (!started.ok) return assert.fail(started.error.message);
  context.after(() => started.value.close());
  return started.value;
}

function makeFolder(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "spindle-http-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test("routes: a probe that holds is 200, one that does not is 503 with its reasons", async () => {
  const routes = makeRoutes(source);
  const healthy = await routes.request("/healthz");
  assert.equal(healthy.status, 200);
  const ready = await routes.request("/readyz");
  assert.equal(ready.status, 503);
  assert.deepEqual(await ready.json(), { ok: false, reasons: ["2 of 4 peers covered"] });
});

test("routes: /status is the status as JSON, /metrics the Prometheus text format", async () => {
  const routes = makeRoutes(source);
  assert.deepEqual(await (await routes.request("/status")).json(), agentStatus);
  const metrics = await routes.request("/metrics");
  assert.equal(metrics.headers.get("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  assert.match(await metrics.text(), /^# HELP spindle_xfrm_errors_total /);
});

test("routes: nothing can be changed, and nothing else is there", async () => {
  const routes = makeRoutes(source);
  assert.equal((await routes.request("/status", { method: "POST" })).status, 404);
  assert.equal((await routes.request("/")).status, 404);
});

const check: PathCheck = { schemaVersion: 1, node: "a", paths: [], ok: true };
const probing: StatusSource = {
  ...source,
  checkPaths: async (peers) => (peers?.[0] === "x" ? { unknown: ["x"] } : peers?.[0] === "none" ? null : check),
};

const requests: readonly (readonly [name: string, source: StatusSource, isLocal: boolean, body: string, type: string, status: number])[] = [
  ["all peers", probing, true, '{ "peers": null }', "application/json", 200],
  ["a peer that is not known", probing, true, '{ "peers": ["x"] }', "application/json", 404],
  ["before the node is admitted", probing, true, '{ "peers": ["none"] }', "application/json", 503],
  ["no list of names", probing, true, '{ "peers": [1] }', "application/json", 400],
  ["no JSON", probing, true, "peers", "application/json", 400],
  ["what a page could send to another origin", probing, true, '{ "peers": null }', "text/plain", 415],
  ["from other hosts", probing, false, '{ "peers": null }', "application/json", 404],
  ["a dataplane that cannot", source, true, '{ "peers": null }', "application/json", 404],
];

for (const [name, from, isLocal, body, type, status] of requests) {
  test(`routes: a probe of paths, ${name}: ${status}`, async () => {
    const asked = { method: "POST", body, headers: { "content-type": type } };
    assert.equal((await makeRoutes(from, isLocal).request("/probe", asked)).status, status);
  });
}

const listing: SaListing = { schemaVersion: 1, node: "a", dumpedForMs: 5, sas: [] };
const telling: StatusSource = {
  ...source,
  listSas: (peers) => (peers?.includes("x") === true ? { unknown: ["x"] } : peers?.[0] === "none" ? null : { ...listing, node: String(peers) }),
};

const questions: readonly (readonly [name: string, source: StatusSource, isLocal: boolean, query: string, status: number, node: string | undefined])[] = [
  ["of all peers", telling, true, "", 200, "null"],
  ["of two", telling, true, "?peer=b&peer=c%20d", 200, "b,c d"],
  ["of a peer that is not known", telling, true, "?peer=b&peer=x", 404, undefined],
  ["before the agent has read anything", telling, true, "?peer=none", 503, undefined],
  ["from other hosts", telling, false, "", 404, undefined],
  ["of a controller", source, true, "", 404, undefined],
];

for (const [name, from, isLocal, query, status, node] of questions) {
  test(`routes: SAs ${name}: ${status}`, async () => {
    const answer = await makeRoutes(from, isLocal).request(`/sas${query}`);
    assert.equal(answer.status, status);
    if (status === 200) assert.equal(((await answer.json()) as SaListing).node, node);
  });
}

test("status server: answers on a free loopback port, and no more after close", async (context) => {
  const server = await start(context, anyPort);
  assert.equal(server.address.kind, "tcp");
  const url = `http://${formatServiceAddress(server.address)}/healthz`;
  assert.equal((await fetch(url)).status, 200);
  await server.close();
  await assert.rejects(fetch(url));
});

const refusedHosts = ["0.0.0.0", "::", "192.0.2.1", "2001:db8::1", "localhost", "example.com"];

for (const host of refusedHosts) {
  test(`status server: refuses to listen on ${host}`, async () => {
    const started = await startStatusServer({ kind: "tcp", host, port: 0 }, source);
    assert.equal(started.ok, false);
    assert.equal(!started.ok && started.error.code, "HTTP_LISTEN_REFUSED");
  });
}

test("listen: loopback is 127.0.0.0/8 and ::1", () => {
  for (const host of ["127.0.0.1", "127.9.9.9", "::1"]) assert.equal(isLoopback(host), true, host);
  for (const host of ["128.0.0.1", "::2", "127.0.0.1.example.com"])
    assert.equal(isLoopback(host), false, host);
});

test("status server: a port in use is HTTP_LISTEN_FAILED and may be tried again", async (context) => {
  const server = await start(context, anyPort);
  const second = await startStatusServer(server.address, source);
  assert.ok(!second.ok);
  assert.equal(second.error.code, "HTTP_LISTEN_FAILED");
  assert.equal(second.error.retryable, true);
});

test("status server: a unix socket is for its owner alone", async (context) => {
  const path = join(makeFolder(context), "status.sock");
  await start(context, { kind: "unix", path });
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(await getOverSocket(path, "/healthz"), 200);
});

function getOverSocket(socketPath: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    });
    sent.on("error", reject);
    sent.end();
  });
}

test("status server: a socket that a killed program left is replaced", async (context) => {
  const path = join(makeFolder(context), "status.sock");
  await leaveStaleSocket(path);
  await start(context, { kind: "unix", path });
  assert.equal(await getOverSocket(path, "/healthz"), 200);
});

/** A listener that is closed removes its file; a second name for it stays. */
async function leaveStaleSocket(path: string): Promise<void> {
  const listener = createServer();
  await new Promise<void>((resolve) => listener.listen(`${path}.first`, resolve));
  linkSync(`${path}.first`, path);
  await new Promise((resolve) => listener.close(resolve));
  assert.ok(existsSync(path));
}

test("status server: a socket in use and a file that is no socket stay", async (context) => {
  const folder = makeFolder(context);
  const used = join(folder, "used.sock");
  await start(context, { kind: "unix", path: used });
  const file = join(folder, "keys");
  writeFileSync(file, "precious");
  for (const path of [used, file]) {
    const second = await startStatusServer({ kind: "unix", path }, source);
    assert.equal(!second.ok && second.error.code, "HTTP_LISTEN_FAILED");
    assert.ok(existsSync(path));
  }
});

function tlsOf({ certificateFile, keyFile }: Issued, clientAuthorityFile: string | null = null): ServiceTls {
  return { certificateFile, keyFile, clientAuthorityFile };
}

async function startSecure(
  context: TestContext,
  tls: ServiceTls,
  how: Omit<StatusServerOptions, "tls"> = {},
): Promise<StatusServer> {
  // Not loopback by its address, though nobody else reaches it here.
  const started = await startStatusServer({ kind: "tcp", host: "0.0.0.0", port: 0 }, source, { tls, ...how });
  if (!started.ok) return assert.fail(started.error.message);
  context.after(() => started.value.close());
  return started.value;
}

/** The status code and the serial number of the server's certificate; the code of what failed otherwise. */
function getSecurely({ address }: StatusServer, caFile: string, client?: Issued): Promise<string> {
  assert.ok(address.kind === "tcp");
  const [ca, cert, key] = [caFile, client?.certificateFile, client?.keyFile].map((path) =>
    path === undefined ? undefined : readFileSync(path),
  );
  const options = { host: "127.0.0.1", port: address.port, path: "/healthz", ca, cert, key, agent: false };
  return new Promise((resolve) => {
    const asked = secureRequest(options, (response) => {
      const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      response.resume();
      resolve(`${response.statusCode} ${serialNumber}`);
    });
    asked.on("error", (error: NodeJS.ErrnoException) => resolve(String(error.code)));
    asked.end();
  });
}

test("status server: beyond loopback with TLS, and only for clients of its authority", async (context) => {
  const folder = makeFolder(context);
  const authority = new TestAuthority(folder);
  const stranger = new TestAuthority(folder, "stranger").issue("unknown");
  const server = await startSecure(context, tlsOf(authority.issue("server"), authority.caFile));
  assert.match(await getSecurely(server, authority.caFile, authority.issue("prometheus")), /^200 /);
  assert.doesNotMatch(await getSecurely(server, authority.caFile), /^200 /);
  assert.doesNotMatch(await getSecurely(server, authority.caFile, stranger), /^200 /);
});

test("status server: a renewed certificate is served without a restart, a broken one is not taken", async (context) => {
  const folder = makeFolder(context);
  const authority = new TestAuthority(folder);
  const [served, renewed] = [authority.issue("served"), authority.issue("renewed")];
  const faults: string[] = [];
  const server = await startSecure(context, tlsOf(served), { rereadMs: 5, onUnusable: (why) => faults.push(why) });
  const before = await getSecurely(server, authority.caFile);
  assert.match(before, /^200 /);
  // Neither file alone belongs to the other: what is half written is not served.
  copyFileSync(renewed.keyFile, served.keyFile);
  while (faults.length === 0) assert.equal(await getSecurely(server, authority.caFile), before);
  copyFileSync(renewed.certificateFile, served.certificateFile);
  let after = before;
  while (after === before) after = await getSecurely(server, authority.caFile);
  assert.match(after, /^200 /);
  assert.ok(faults.every((fault, i) => fault !== faults[i - 1]), `each fault is told once: ${faults.join("; ")}`);
});

test("status server: certificate and key that do not belong together are HTTP_TLS_UNREADABLE", async (context) => {
  const authority = new TestAuthority(makeFolder(context));
  const [one, other] = [authority.issue("one"), authority.issue("other")];
  for (const keyFile of [other.keyFile, "/nowhere/key.pem"]) {
    const started = await startStatusServer(anyPort, source, { tls: tlsOf({ ...one, keyFile }) });
    assert.equal(!started.ok && started.error.code, "HTTP_TLS_UNREADABLE");
  }
});
