/**
 * The leadership: one Lease object. Whoever does not hold it watches its version on its own clock
 * and takes it when it was the same for the holder's whole term; the holder counts its term from
 * before it asked (../campaign.ts), so its term ends first.
 */
import type { KvCandidate, KvElection } from "../kv.js";
import { systemClock } from "../../system/clock.js";
import type { ApiAnswer, ApiClient } from "./api-client.js";
import { leaseMsOf, leaseObject } from "./lease-object.js";
import { leasesPath, type KubeObject } from "./kube-object.js";

const leaseName = "spindle-controller";

export class Election implements KvElection {
  readonly #client: ApiClient;
  #seen: { readonly version: string; readonly sinceMs: number } | null = null;

  constructor(client: ApiClient) {
    this.#client = client;
  }

  async lead(candidate: KvCandidate, leaseMs: number): Promise<boolean> {
    const path = leasesPath(this.#client.namespace);
    const found = await this.#client.send({ method: "GET", path: `${path}/${leaseName}` });
    if (found.kind !== "object") {
      const body = leaseObject({ name: leaseName }, holderOf(candidate), leaseMs);
      return isWritten(await this.#client.send({ method: "POST", path, body }));
    }
    return this.#isFree(found.object, candidate, leaseMs)
      ? this.#write(found.object, holderOf(candidate), leaseMs)
      : false;
  }

  async resign(candidate: KvCandidate): Promise<void> {
    const path = `${leasesPath(this.#client.namespace)}/${leaseName}`;
    const found = await this.#client.send({ method: "GET", path });
    if (found.kind !== "object" || heldBy(found.object) !== holderOf(candidate)) return;
    await this.#write(found.object, "", leaseMsOf(found.object) ?? 1_000);
  }

  #isFree(object: KubeObject, candidate: KvCandidate, leaseMs: number): boolean {
    const holder = heldBy(object);
    if (holder === "" || holder === holderOf(candidate)) return true;
    const { resourceVersion: version } = object.metadata;
    const nowMs = systemClock.nowMs();
    if (this.#seen?.version !== version) this.#seen = { version, sinceMs: nowMs };
    return nowMs - this.#seen.sinceMs >= (leaseMsOf(object) ?? leaseMs);
  }

  async #write(object: KubeObject, holder: string, leaseMs: number): Promise<boolean> {
    const { resourceVersion } = object.metadata;
    const path = `${leasesPath(this.#client.namespace)}/${leaseName}`;
    const body = leaseObject({ name: leaseName, resourceVersion }, holder, leaseMs);
    return isWritten(await this.#client.send({ method: "PUT", path, body }));
  }
}

/** A name may come back in another process: the session tells them apart. */
function holderOf({ name, session }: KvCandidate): string {
  return `${name}_${session}`;
}

function heldBy({ spec }: KubeObject): string {
  if (typeof spec !== "object" || spec === null || !("holderIdentity" in spec)) return "";
  return String(spec.holderIdentity ?? "");
}

function isWritten(answer: ApiAnswer): boolean {
  return answer.kind === "object";
}
