/** A real API server that stops, falls silent or restarts under a roster that is followed. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import { leadRoster } from "../../src/adapters/registry/kubernetes/roster-leader.js";
import { limits } from "../../src/core/limits.js";
import type { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { call, Recorder, succeeds } from "../contract/recorder.js";
import { admission, incarnation, nodeName } from "../contract/registry-records.js";
import { FollowedRoster } from "../support/followed-roster.js";
import { TcpProxy } from "../support/tcp-proxy.js";
import { clientOf, skipWithoutKubernetes, startWithDefinitions } from "../support/kubernetes.js";

const options = { skip: skipWithoutKubernetes, timeout: 90_000 };
/** A watch that said something within a ping's time is not given up for a request without an answer. */
const requestMsMax = 1.2 * limits.registryPingMs;
const silent = { skipped: () => undefined, log: { write: () => undefined } };

interface Scene {
  readonly server: KubernetesServer;
  /** By a way of its own to the server. */
  readonly inside: RegistryPort;
  readonly follower: RegistryPort;
  readonly roster: FollowedRoster;
  readonly events: Recorder<WatchEvent<RosterEntry>>;
}

/** A roster of a and b, and who follows it by the way of `way`. */
async function startScene(context: TestContext): Promise<Scene & { readonly way: TcpProxy }> {
  const { server, client } = await startWithDefinitions(context);
  const way = new TcpProxy(server.port);
  await way.open();
  const stopLeading = leadRoster(client, silent.log);
  const inside = registryOver(clientOf(server, "default"), silent);
  const follower = registryOver(clientOf(server, "default", way.port, "administrator", requestMsMax), silent);
  context.after(() => {
    stopLeading();
    inside.close();
    follower.close();
    return way.cut();
  });
  for (const [serial, name] of ["a", "b"].entries()) await admit(inside, name, serial + 1);
  const roster = new FollowedRoster(follower);
  const events = new Recorder<WatchEvent<RosterEntry>>(40_000);
  follower.watchRoster(events.listener);
  await events.first(({ kind }) => kind === "listing");
  await roster.shows(["a", "b"]);
  return { server, way, inside, follower, roster, events };
}

function admit(registry: RegistryPort, name: string, serial: number): Promise<RosterEntry> {
  return succeeds((done) => registry.register(admission(name, serial), done));
}

const stalls: Readonly<Record<string, (context: TestContext) => Promise<void>>> = {
  "an API server that stands still is noticed by what is asked of it, and followed when it goes on": async (context) => {
    const { server, inside, follower, roster, events } = await startScene(context);
    process.kill(server.processId, "SIGSTOP");
    try {
      const renewed = await call<null>((done) => follower.renewLease(nodeName("a"), incarnation(1), 9_000, done));
      assert.ok(!renewed.ok && renewed.error.code === "REGISTRY_UNREACHABLE" && renewed.error.retryable);
      await events.first(({ kind }) => kind === "disconnected");
    } finally {
      process.kill(server.processId, "SIGCONT");
    }
    await succeeds<number>((done) => inside.remove(nodeName("a"), done));
    await admit(inside, "c", 3);
    await roster.shows(["b", "c"]);
  },
  "a way that falls silent hides no deletion": async (context) => {
    const { way, inside, follower, roster, events } = await startScene(context);
    way.freeze();
    await succeeds<number>((done) => inside.remove(nodeName("a"), done));
    const renewed = await call<null>((done) => follower.renewLease(nodeName("b"), incarnation(1), 9_000, done));
    assert.equal(renewed.ok, false);
    await events.first(({ kind }) => kind === "disconnected");
    way.thaw();
    await roster.shows(["b"]);
  },
  "a restart in which a node left and one came is followed to the roster as it is": async (context) => {
    const { server, inside, roster } = await startScene(context);
    const ended = server.stopApiServer();
    const removal = succeeds<number>((done) => inside.remove(nodeName("a"), done)).catch(() => null);
    await ended;
    await server.startApiServer();
    if ((await removal) === null) await succeeds<number>((done) => inside.remove(nodeName("a"), done));
    await admit(inside, "c", 3);
    await roster.shows(["b", "c"]);
  },
};

/** They mostly wait. */
test("stalls", { ...options, concurrency: true }, async (context) => {
  await Promise.all(Object.entries(stalls).map(([name, body]) => context.test(name, body)));
});
