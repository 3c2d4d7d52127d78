/** Makes an API server serve our kinds, as installing the Helm chart does. */
import type { ApiClient } from "../../adapters/registry/kubernetes/api-client.js";
import {
  customResourceDefinition,
  kinds,
} from "../../adapters/registry/kubernetes/custom-resources.js";
import { LabError } from "../lab-error.js";

const path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const attemptsMax = 200;
const askEveryMs = 50;

export async function installDefinitions(client: ApiClient): Promise<void> {
  for (const kind of kinds) {
    await client.send({ method: "POST", path, body: customResourceDefinition(kind) });
  }
  // What is established is served a moment later: ask for the lists themselves.
  for (const kind of kinds) await untilServed(client, `${kind.toLowerCase()}s`);
}

async function untilServed(client: ApiClient, plural: string): Promise<void> {
  const served = `/apis/spindle.dev/v1alpha1/namespaces/default/${plural}`;
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    if ((await client.fetch({ method: "GET", path: served })).status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, askEveryMs));
  }
  throw new LabError("LAB_START_TIMEOUT", `the API server does not serve ${plural}`);
}
