/** The next key in a Secret of a real API server, by one operator, by two at once, and in bad moments. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { CliError } from "../../src/cli/exit.js";
import { writeNextKey, type KeySecret } from "../../src/cli/operator/next-key-secret.js";
import type { FleetRecord } from "../../src/core/fleet/record.js";
import { parseKeyFile } from "../../src/core/keyfile/parse.js";
import { fleetRecord, key } from "../contract/registry-records.js";
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

test("key Secret: made, extended by one key per rotation, and never twice at once", options, async (context: TestContext) => {
  const server = await startKubernetes(context);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  const secret: KeySecret = { name: "fleet-keys", file: "keys", ring: 255 };
  assert.equal(await writeNextKey(client, secret, null), 1);
  assert.deepEqual(await idsIn(client, secret), [1]);
  assert.equal(await codeOf(writeNextKey(client, secret, null)), "SECRET_AHEAD");

  const steady = fleetRecord(1, 1);
  const both = await Promise.allSettled([
    writeNextKey(client, secret, steady),
    writeNextKey(client, secret, steady),
  ]);
  const lost = both.filter(({ status }) => status === "rejected");
  assert.equal(lost.length, 1, "one of two operators wins");
  const reason: unknown = lost[0]?.status === "rejected" ? lost[0].reason : null;
  assert.ok(reason instanceof CliError);
  assert.ok(["SECRET_CONFLICT", "SECRET_AHEAD"].includes(reason.fault.code));
  assert.deepEqual(await idsIn(client, secret), [1, 2], "the key in use stays");
  assert.equal(await codeOf(writeNextKey(client, secret, steady)), "SECRET_AHEAD");

  const running: FleetRecord = { ...steady, phase: "staging", target: key(2) };
  assert.equal(await codeOf(writeNextKey(client, secret, running)), "ROTATION_RUNNING");
  const aborted: FleetRecord = { ...steady, refused: [key(2)] };
  assert.equal(await writeNextKey(client, secret, aborted), 3, "an aborted id is not used again");
  assert.deepEqual(await idsIn(client, secret), [1, 3]);

  const other = { ...secret, file: "others" };
  assert.equal(await codeOf(writeNextKey(client, other, steady)), "SECRET_UNREADABLE");
  const missing = { ...secret, name: "gone" };
  assert.equal(await codeOf(writeNextKey(client, missing, steady)), "SECRET_UNREADABLE");
});

test("key Secret: a version that is no longer stored is not overwritten", options, async (context: TestContext) => {
  const server = await startKubernetes(context);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  const secret: KeySecret = { name: "fleet-keys", file: "keys", ring: 255 };
  await writeNextKey(client, secret, null);
  const touched = before(client, "PATCH", () => {
    const body = { metadata: { labels: { touched: "yes" } } };
    return client.send({ method: "PATCH", path: `${path}/fleet-keys`, body });
  });
  assert.equal(await codeOf(writeNextKey(touched, secret, fleetRecord(1, 1))), "SECRET_CONFLICT");
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
  assert.equal(await codeOf(writeNextKey(nowhere, secret, null)), "NAMESPACE_UNKNOWN");
  const overtaken = before(client, "POST", () => writeNextKey(client, secret, null));
  assert.equal(await codeOf(writeNextKey(overtaken, secret, null)), "SECRET_CONFLICT");
  assert.deepEqual(await idsIn(client, secret), [1]);
  const removed = before(client, "PATCH", () => client.remove(`${path}/fleet-keys`));
  assert.equal(await codeOf(writeNextKey(removed, secret, fleetRecord(1, 1))), "SECRET_UNREADABLE");
});
