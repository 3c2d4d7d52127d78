/** The next key in a Secret of a real API server, by one operator, by two at once, and in bad moments. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { CliError } from "../../src/cli/exit.js";
import { writeNextKey, type KeySecret, type NextKey } from "../../src/cli/operator/next-key-secret.js";
import type { KeyId } from "../../src/core/key-id.js";
import type { FleetKeyIds } from "../../src/core/keyfile/successor.js";
import { parseKeyFile } from "../../src/core/keyfile/parse.js";
import { clientOf, skipWithoutKubernetes, startKubernetes } from "../support/kubernetes.js";

const path = "/api/v1/namespaces/default/secrets";
const options = { skip: skipWithoutKubernetes, timeout: 60_000 };

async function idsIn(client: ApiClient, { name, file, ring }: KeySecret): Promise<readonly number[]> {
  const found = await client.send({ method: "GET", path: `${path}/${name}` });
  assert.ok(found.kind === "object");
  const content = (found.object.data as Readonly<Record<string, string>>)[file] ?? "";
  const parsed = parseKeyFile(Buffer.from(content, "base64"), ring);
  assert.ok(parsed.ok, "a whole key file");
  return parsed.value.lines.map(({ keyId }) => keyId);
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const cause = await promise.then(() => null, (one: unknown) => one);
  assert.ok(cause instanceof CliError, String(cause));
  return cause.fault.code;
}

/** The client, but something happens just before each request of that method. */
function before(client: ApiClient, method: string, happens: () => Promise<unknown>): ApiClient {
  return new Proxy(client, {
    get: (target, name) => {
      if (name !== "send") return Reflect.get(target, name, target) as unknown;
      return async (request: Parameters<ApiClient["send"]>[0]) => {
        if (request.method === method) await happens();
        return target.send(request);
      };
    },
  });
}

const none: FleetKeyIds = { current: null, refused: [] };

function running(current: number, ...refused: readonly number[]): FleetKeyIds {
  return { current: current as KeyId, refused: refused as readonly KeyId[] };
}

function isMade(keyId: number): NextKey {
  return { keyId: keyId as KeyId, isNew: true };
}

function isThere(keyId: number): NextKey {
  return { keyId: keyId as KeyId, isNew: false };
}

test("key Secret: made, extended by one key per rotation, and never twice at once", options, async (context: TestContext) => {
  const server = await startKubernetes(context);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  const secret: KeySecret = { name: "fleet-keys", file: "keys", ring: 255 };
  assert.equal(await codeOf(writeNextKey(client, secret, none, false)), "SECRET_UNREADABLE", "a controller makes none");
  assert.deepEqual(await writeNextKey(client, secret, none, true), isMade(1));
  assert.deepEqual(await idsIn(client, secret), [1]);
  assert.deepEqual(await writeNextKey(client, secret, none, true), isThere(1));

  const both = await Promise.allSettled([
    writeNextKey(client, secret, running(1), false),
    writeNextKey(client, secret, running(1), false),
  ]);
  const made = both.filter((one) => one.status === "fulfilled" && one.value.isNew);
  assert.equal(made.length, 1, "one of two writers wins");
  const reason: unknown = both.find(({ status }) => status === "rejected");
  if (reason !== undefined) assert.match(JSON.stringify(both), /SECRET_CONFLICT/);
  assert.deepEqual(await idsIn(client, secret), [1, 2], "the key in use stays");
  assert.deepEqual(await writeNextKey(client, secret, running(1), false), isThere(2));

  assert.deepEqual(await writeNextKey(client, secret, running(1, 2), false), isMade(3), "an aborted id is not used again");
  assert.deepEqual(await idsIn(client, secret), [1, 3]);

  const other = { ...secret, file: "others" };
  assert.equal(await codeOf(writeNextKey(client, other, running(1), true)), "SECRET_UNREADABLE");
  const missing = { ...secret, name: "gone" };
  assert.equal(await codeOf(writeNextKey(client, missing, running(1), true)), "SECRET_UNREADABLE");
  assert.equal(await codeOf(writeNextKey(client, secret, running(9), true)), "SECRET_BEHIND");
});

test("key Secret: one that may not change is left alone, and said so", options, async (context: TestContext) => {
  const server = await startKubernetes(context);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  const secret: KeySecret = { name: "fleet-keys", file: "keys", ring: 255 };
  await writeNextKey(client, secret, none, true);
  const set = async (body: object): Promise<void> => void (await client.send({ method: "PATCH", path: `${path}/fleet-keys`, body }));
  await set({ data: { keys: Buffer.from("no keys").toString("base64") } });
  assert.equal(await codeOf(writeNextKey(client, secret, running(1), false)), "SECRET_UNREADABLE");
  await client.remove(`${path}/fleet-keys`);
  await writeNextKey(client, secret, none, true);
  await set({ immutable: true });
  assert.equal(await codeOf(writeNextKey(client, secret, running(1), false)), "SECRET_IMMUTABLE");
  assert.deepEqual(await idsIn(client, secret), [1]);
});

test("key Secret: a version that is no longer stored is not overwritten", options, async (context: TestContext) => {
  const server = await startKubernetes(context);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  const secret: KeySecret = { name: "fleet-keys", file: "keys", ring: 255 };
  await writeNextKey(client, secret, none, true);
  const touched = before(client, "PATCH", () => {
    const body = { metadata: { labels: { touched: "yes" } } };
    return client.send({ method: "PATCH", path: `${path}/fleet-keys`, body });
  });
  assert.equal(await codeOf(writeNextKey(touched, secret, running(1), true)), "SECRET_CONFLICT");
  assert.deepEqual(await idsIn(client, secret), [1]);
});

test("key Secret: who removed it, made it or lacks its namespace is told apart", options, async (context: TestContext) => {
  const server = await startKubernetes(context);
  const client = clientOf(server, "default");
  const nowhere = clientOf(server, "nowhere");
  context.after(() => {
    client.close();
    nowhere.close();
  });
  const secret: KeySecret = { name: "fleet-keys", file: "keys", ring: 255 };
  assert.equal(await codeOf(writeNextKey(nowhere, secret, none, true)), "NAMESPACE_UNKNOWN");
  const overtaken = before(client, "POST", () => writeNextKey(client, secret, none, true));
  assert.equal(await codeOf(writeNextKey(overtaken, secret, none, true)), "SECRET_CONFLICT");
  assert.deepEqual(await idsIn(client, secret), [1]);
  const removed = before(client, "PATCH", () => client.remove(`${path}/fleet-keys`));
  assert.equal(await codeOf(writeNextKey(removed, secret, running(1), true)), "SECRET_UNREADABLE");
});
