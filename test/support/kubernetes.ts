/** For tests on a real Kubernetes API server: whether there is one, and what ends with the test. */
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { TestContext } from "node:test";
import { KubernetesServer, type KubernetesUser } from "../../src/lab/servers/kubernetes.js";
import { root } from "./repository.js";

interface ApiServerTool {
  skipWithoutApiServer(): string | false;
}

const tool = pathToFileURL(join(root, "tools/kube-apiserver.mjs")).href;
const { skipWithoutApiServer } = (await import(tool)) as ApiServerTool;

/** For the `skip` option of a test. */
export const skipWithoutKubernetes = skipWithoutApiServer();

export async function startKubernetes(
  context: TestContext,
  users: readonly KubernetesUser[] = [],
): Promise<KubernetesServer> {
  const server = await KubernetesServer.start(users);
  context.after(() => server.stop());
  return server;
}
