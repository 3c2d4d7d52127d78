/** TLS with client certificates, and etcd's users: what is allowed works, what is not has a code. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer } from "node:tls";
import { after, before, test, type TestContext } from "node:test";
import { connectEtcd } from "../../src/adapters/registry/etcd/open.js";
import type { EtcdOptions } from "../../src/adapters/registry/etcd/options.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import { TestAuthority, type Issued } from "../support/certificates.js";
import { freshFleet, skipWithoutEtcd, startEtcd, type EtcdCluster } from "../support/etcd.js";
import { FollowedRoster } from "../support/followed-roster.js";
import { call, succeeds } from "./recorder.js";
import { admission } from "./registry-records.js";

const skip = await skipWithoutEtcd();
const password = "correct horse battery staple";

let directory: string;
let authority: TestAuthority;
let client: Issued;
let cluster: EtcdCluster;

if (skip === false) {
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "spindle-access-"));
    authority = new TestAuthority(directory);
    client = authority.issue("client");
    cluster = await startSecureEtcd();
    await addUser();
  });
  after(async () => {
    await cluster.stop();
    rmSync(directory, { recursive: true, force: true });
  });
}

function clause(name: string, body: (context: TestContext) => Promise<void>): void {
  test(`etcd access: ${name}`, { skip, timeout: 60_000 }, body);
}

function startSecureEtcd(): Promise<EtcdCluster> {
  const server = authority.issue("server");
  const flags = (): readonly string[] => [
    ...["--cert-file", server.certificateFile, "--key-file", server.keyFile],
    ...["--trusted-ca-file", authority.caFile, "--client-cert-auth"],
  ];
  const { certificateFile, keyFile } = client;
  const tls = ["--cacert", authority.caFile, "--cert", certificateFile, "--key", keyFile];
  return startEtcd(1, { scheme: "https", flags, controlFlags: tls });
}

/** As the reference says: a role with the fleet's prefix and nothing else. */
async function addUser(): Promise<void> {
  await cluster.control(["role", "add", "spindle"]);
  const range = ["/spindle/", "--prefix"];
  await cluster.control(["role", "grant-permission", "spindle", "readwrite", ...range]);
  await cluster.control(["user", "add", `spindle:${password}`]);
  await cluster.control(["user", "grant-role", "spindle", "spindle"]);
  await cluster.control(["user", "add", "root:root"]);
  await cluster.control(["user", "grant-role", "root", "root"]);
  await cluster.control(["auth", "enable"]);
}

/** What works; each clause changes one thing. */
function options(change: Partial<EtcdOptions> = {}): EtcdOptions {
  const tls = { caFile: authority.caFile, client };
  const login = { user: "spindle", passwordFile: passwordFile(password) };
  return { ...freshFleet(cluster.endpoints), tls, login, ...change };
}

function passwordFile(content: string): string {
  const path = join(directory, "password");
  writeFileSync(path, `${content}\n`, { mode: 0o600 });
  return path;
}

async function connectFor(context: TestContext, how: EtcdOptions): Promise<RegistryPort> {
  const registry = await connectEtcd(how, () => undefined);
  context.after(() => registry.close());
  return registry;
}

function admit(registry: RegistryPort, name: string): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name), done));
}

async function refusal(registry: RegistryPort): Promise<string> {
  const result = await call<RosterEntry>((done) => registry.register(admission("a"), done));
  assert.ok(!result.ok && result.error.retryable, "refused, and tried again");
  return `${result.error.code}: ${result.error.message}`;
}

clause("with certificate and password all works, also after a restart that forgets tokens", async (context) => {
  const registry = await connectFor(context, options());
  await admit(registry, "a");
  const roster = new FollowedRoster(registry);
  await roster.shows(["a"]);
  const [member] = cluster.members;
  await member?.stop("SIGKILL");
  member?.start();
  await admit(registry, "b");
  await roster.shows(["a", "b"]);
  await succeeds<null>((done) => {
    const { name, incarnationId } = admission("a");
    registry.renewLease(name, incarnationId, 5_000, done);
  });
});

clause("a wrong password is refused, and right as soon as the file is", async (context) => {
  const how = options();
  const registry = await connectFor(context, how);
  passwordFile("wrong");
  assert.match(await refusal(registry), /^REGISTRY_DENIED: .*authentication failed/);
  passwordFile(password);
  await admit(registry, "a");
});

clause("keys beyond the role's prefix are refused", async (context) => {
  const registry = await connectFor(context, options({ prefix: "/other/" }));
  assert.match(await refusal(registry), /^REGISTRY_DENIED: .*permission denied/);
});

clause("no user is refused where authentication is on", async (context) => {
  const registry = await connectFor(context, options({ login: null }));
  assert.match(await refusal(registry), /^REGISTRY_DENIED: .*permission denied/);
});

clause("a server of another authority is not trusted", async (context) => {
  const stranger = new TestAuthority(directory, "stranger");
  const registry = await connectFor(context, options({ tls: { caFile: stranger.caFile, client } }));
  assert.match(await refusal(registry), /^REGISTRY_TLS_FAILED: .*unable to verify/);
});

clause("an expired client certificate is told; a renewed file needs no restart", async (context) => {
  const expired = authority.issue("expired", "expired");
  const registry = await connectFor(context, options({ tls: { caFile: authority.caFile, client: expired } }));
  assert.match(await refusal(registry), /^REGISTRY_TLS_FAILED: .*alert bad certificate/);
  copyFileSync(client.certificateFile, expired.certificateFile);
  copyFileSync(client.keyFile, expired.keyFile);
  await admit(registry, "a");
});

clause("an expired certificate of a server is told", async (context) => {
  const { certificateFile, keyFile } = authority.issue("late", "expired");
  const front = createServer({ cert: readFileSync(certificateFile), key: readFileSync(keyFile) }).listen(0, "127.0.0.1");
  await once(front, "listening");
  context.after(() => front.close());
  const address = front.address();
  assert.ok(address !== null && typeof address === "object");
  const endpoints = [{ scheme: "https", host: "127.0.0.1", port: address.port }] as const;
  const registry = await connectFor(context, options({ endpoints }));
  assert.match(await refusal(registry), /^REGISTRY_TLS_FAILED: .*certificate has expired/);
});

clause("files that are missing or no certificates are told at the start", async () => {
  const { caFile } = authority;
  const absent = { certificateFile: join(directory, "absent"), keyFile: client.keyFile };
  const unreadable = { code: "REGISTRY_TLS_UNREADABLE" };
  const ignore = (): void => undefined;
  await assert.rejects(connectEtcd(options({ tls: { caFile, client: absent } }), ignore), unreadable);
  const swapped = { certificateFile: client.keyFile, keyFile: client.certificateFile };
  await assert.rejects(connectEtcd(options({ tls: { caFile, client: swapped } }), ignore), unreadable);
  const login = { user: "spindle", passwordFile: join(directory, "absent") };
  const noPassword = { code: "REGISTRY_PASSWORD_UNREADABLE" };
  await assert.rejects(connectEtcd(options({ login }), ignore), noPassword);
});
