/** A namespace of a real API server with a leader of its roster, which can be stopped and started, and what it says. */
import type { TestContext } from "node:test";
import type { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";
import { registryOver } from "../../src/adapters/registry/kubernetes/open.js";
import { leadRoster } from "../../src/adapters/registry/kubernetes/roster-leader.js";
import type { KubernetesServer } from "../../src/lab/servers/kubernetes.js";
import type { RegistryPort } from "../../src/ports/registry.js";
import { Recorder } from "../contract/recorder.js";
import { clientOf, makeNamespace } from "./kubernetes.js";

export interface LedNamespace {
  readonly client: ApiClient;
  readonly registry: RegistryPort;
  /** Log lines of the leader and of `registry`: message and fields. */
  readonly said: Recorder<string>;
  readonly lead: () => void;
  /** Nobody leads until `lead` is called again. */
  readonly stopLeading: () => void;
}

export async function ledNamespace(
  context: TestContext,
  server: KubernetesServer,
  namespace: string,
  options: Parameters<typeof leadRoster>[2] = {},
): Promise<LedNamespace> {
  const client = clientOf(server, namespace);
  await makeNamespace(client, namespace);
  const said = new Recorder<string>();
  const log = { write: (_level: string, message: string, fields: object): void => said.listener(`${message} ${JSON.stringify(fields)}`) };
  const registry = registryOver(clientOf(server, namespace), { skipped: () => undefined, log });
  let stopLeading = (): void => undefined;
  const lead = (): void => {
    stopLeading = leadRoster(client, log, options);
  };
  context.after(() => {
    stopLeading();
    registry.close();
    client.close();
  });
  lead();
  return { client, registry, said, lead, stopLeading: () => stopLeading() };
}
