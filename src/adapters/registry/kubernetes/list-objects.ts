/**
 * A complete listing, as of one version of the collection: in pages from etcd, as new as can be; or at once from the memory
 * that the server's watches are fed from, which costs it a tenth and may be as late as those.
 */
import { z } from "zod";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { unreachable, type ApiClient } from "./api-client.js";
import { kubeObjectOf, type KubeObject } from "./kube-object.js";

export interface ObjectListing {
  readonly version: string;
  readonly objects: readonly KubeObject[];
}

const pageSchema = z.object({
  metadata: z.object({ resourceVersion: z.string(), continue: z.string().optional() }),
  items: z.array(z.unknown()).nullable(),
});

const restartsMax = 5;
/** Objects without spec and status (Kubernetes 1.15 or newer). */
export const metadataAlone = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/**
 * The server may forget the version of the first page while the others are read; the listing then
 * begins anew.
 * @throws PortError REGISTRY_UNREACHABLE, REGISTRY_FORBIDDEN, REGISTRY_PROTOCOL, REGISTRY_CLOSED
 */
export async function listObjects(
  client: ApiClient,
  path: string,
  selector: Readonly<Record<string, string>> = {},
  mayBeLate = false,
  accept?: string,
): Promise<ObjectListing> {
  for (let attempt = 0; attempt < restartsMax; attempt++) {
    const listing = await listOnce(client, path, selector, mayBeLate, accept);
    if (listing !== null) return listing;
  }
  throw unreachable("a listing expired again and again while it was read");
}

async function listOnce(
  client: ApiClient,
  path: string,
  selector: Readonly<Record<string, string>>,
  mayBeLate: boolean,
  accept: string | undefined,
): Promise<ObjectListing | null> {
  const objects: KubeObject[] = [];
  let next: string | undefined;
  do {
    const page = { limit: String(limits.kubernetesPageItems), ...(next === undefined ? {} : { continue: next }) };
    // Version 0 is "any", and with a limit the server would go to etcd all the same.
    const query = { ...selector, ...(mayBeLate ? { resourceVersion: "0" } : page) };
    const answer = await client.fetch(
      { method: "GET", path, query, accept },
      limits.registryListingMsMax,
    );
    if (answer.status === 410) return null;
    if (answer.status === 404) throw notInstalled(path);
    const parsed = pageSchema.safeParse(answer.body);
    if (!parsed.success) throw unreachable("a listing is not one");
    const { metadata, items } = parsed.data;
    objects.push(...(items ?? []).map(kubeObjectOf));
    next = metadata.continue === "" ? undefined : metadata.continue;
    if (next === undefined) return { version: metadata.resourceVersion, objects };
  } while (true);
}

/** Retryable: an installation may create the definitions after the programs. */
export function notInstalled(path: string): PortError {
  const message = `the API server does not serve ${path}: install the definitions of spindle.dev`;
  return new PortError("KUBERNETES_NOT_INSTALLED", message, true);
}
