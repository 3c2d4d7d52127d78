/** The server that all other tests of this folder trust. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { request } from "node:https";
import { test } from "node:test";
import type { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import { skipWithoutKubernetes, startKubernetes } from "../support/kubernetes.js";

const namespaces = "/api/v1/namespaces";

test("kubernetes server: knows its users, and keeps what it holds over a restart", {
  skip: skipWithoutKubernetes,
}, async (context) => {
  const server = await startKubernetes(context, [{ user: "nobody", groups: [] }]);
  const created = { metadata: { name: "kept" } };
  assert.equal(await ask(server, "administrator", "POST", namespaces, created), 201);
  assert.equal(await ask(server, "nobody", "GET", `${namespaces}/kept`), 403);
  await server.stopApiServer();
  await assert.rejects(ask(server, "administrator", "GET", namespaces), /ECONNREFUSED/);
  await server.startApiServer();
  assert.equal(await ask(server, "administrator", "GET", `${namespaces}/kept`), 200);
});

/** @returns the status */
function ask(
  server: KubernetesServer,
  user: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<number | undefined> {
  const headers = {
    authorization: `Bearer ${server.tokenOf(user)}`,
    "content-type": "application/json",
  };
  const options = { method, headers, ca: readFileSync(server.caFile) };
  return new Promise((resolve, reject) => {
    const asked = request(server.url + path, options, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode));
    });
    asked.on("error", reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
