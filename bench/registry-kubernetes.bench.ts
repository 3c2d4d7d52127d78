/** A restart of a Kubernetes API server under watches (registry-restart.ts): its history is gone with it. */
import { registryOver } from "../src/adapters/registry/kubernetes/open.js";
import { leadRoster } from "../src/adapters/registry/kubernetes/roster-leader.js";
import { installDefinitions } from "../src/lab/servers/kubernetes-definitions.js";
import { KubernetesServer } from "../src/lab/servers/kubernetes.js";
import { clientOf, skipWithoutKubernetes } from "../test/support/kubernetes.js";
import { measureRestarts } from "./registry-restart.js";

const log = { write: (): void => undefined };

if (skipWithoutKubernetes === false) await measure();
else console.log(`\nKubernetes restart: ${skipWithoutKubernetes}`);

async function measure(): Promise<void> {
  const server = await KubernetesServer.start();
  const leader = clientOf(server, "default");
  try {
    await installDefinitions(leader);
    leadRoster(leader, log);
    await measureRestarts({
      name: "Kubernetes",
      connect: () => registryOver(clientOf(server, "default"), { skipped: () => undefined, log }),
      restart: async () => {
        await server.stopApiServer("SIGKILL");
        await server.startApiServer();
      },
      forget: null,
    });
  } finally {
    leader.close();
    await server.stop();
  }
}
