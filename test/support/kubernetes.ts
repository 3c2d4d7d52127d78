/** For tests on a real Kubernetes API server: whether there is one, and what ends with the test. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import type { TestContext } from "node:test";
import { openAccess } from "../../src/adapters/registry/kubernetes/access.js";
import { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { installDefinitions } from "../../src/lab/servers/kubernetes-definitions.js";
import { kubeApiServerPath, KubernetesServer, type KubernetesUser } from "../../src/lab/servers/kubernetes.js";

/** For the `skip` option of a test. */
export const skipWithoutKubernetes = whyNoServer();

function whyNoServer(): string | false {
  if (!existsSync("/usr/bin/etcd")) return "needs the Debian package etcd-server";
  if (existsSync(kubeApiServerPath())) return false;
  return "needs a Kubernetes API server (node tools/kube-apiserver.mjs builds one)";
}

export async function startKubernetes(
  context: TestContext,
  users: readonly KubernetesUser[] = [],
): Promise<KubernetesServer> {
  const server = await KubernetesServer.start(users);
  context.after(() => server.stop());
  return server;
}

/** One that serves our kinds, for all tests of a file; whoever asks stops it. Null where tests are skipped. */
export async function startSharedServer(
  users: readonly KubernetesUser[] = [],
): Promise<KubernetesServer | null> {
  if (skipWithoutKubernetes !== false) return null;
  const server = await KubernetesServer.start(users);
  const client = clientOf(server, "default");
  try {
    await installDefinitions(client);
    return server;
  } catch (cause) {
    await server.stop();
    throw cause;
  } finally {
    client.close();
  }
}

/** A server that serves our kinds, with an administrator's client of the default namespace. */
export async function startWithDefinitions(
  context: TestContext,
  users: readonly KubernetesUser[] = [],
): Promise<{ readonly server: KubernetesServer; readonly client: ApiClient }> {
  const server = await startKubernetes(context, users);
  const client = clientOf(server, "default");
  context.after(() => client.close());
  await installDefinitions(client);
  return { server, client };
}

/** @param port of a proxy, or the server's own. @param requestMsMax less than a program's own patience */
export function clientOf(
  server: KubernetesServer,
  namespace: string,
  port = server.port,
  user = "administrator",
  requestMsMax?: number,
): ApiClient {
  const kubeconfig = server.writeKubeconfig(user, namespace);
  const access = openAccess({ kubeconfig, context: null, namespace: null });
  return new ApiClient({ ...access, url: new URL(`https://127.0.0.1:${port}`) }, requestMsMax);
}

export async function makeNamespace(client: ApiClient, name: string): Promise<void> {
  const body = { apiVersion: "v1", kind: "Namespace", metadata: { name } };
  const answer = await client.send({ method: "POST", path: "/api/v1/namespaces", body });
  assert.equal(answer.kind, "object");
}
