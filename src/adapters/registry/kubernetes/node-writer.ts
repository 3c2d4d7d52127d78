/**
 * Writes SpindleNodes for the leader: what the ledger announced, in order, and nothing else. Every
 * write names the version that it replaces, so that a leader which was overtaken writes nothing.
 *
 * The mark of a removal is deleted when a newer change of the roster is visible: so the objects
 * always show the revision of the last change, whatever it was.
 */
import { PortError } from "../../port-error.js";
import type { KvItem } from "../kv.js";
import type { ApiClient } from "./api-client.js";
import { digestOf, parseNode, seeNode } from "./collections.js";
import { apiVersion, resourcePath, versionOf, type KubeObject } from "./kube-object.js";
import { listObjects, type ObjectListing } from "./list-objects.js";
import type { RosterIntent } from "./roster-ledger.js";

/** What is known of an object: of which version, and whether it only marks a removal. */
interface Known {
  readonly version: string;
  readonly revision: number;
  readonly isMark: boolean;
}

export class NodeWriter {
  readonly #client: ApiClient;
  readonly #path: string;
  readonly #known = new Map<string, Known>();

  constructor(client: ApiClient) {
    this.#client = client;
    this.#path = resourcePath(client.namespace, "spindlenodes");
  }

  /** @returns the entries, those that cannot be read as such, and where a watch goes on */
  async load(): Promise<{ readonly listing: ObjectListing; readonly entries: readonly KvItem[] }> {
    const listing = await listObjects(this.#client, this.#path);
    const entries: KvItem[] = [];
    for (const object of listing.objects) {
      const { key, value, revision, fault } = this.#learn(object);
      if (value !== null) entries.push({ key, value, revision, fault });
    }
    return { listing, entries };
  }

  /** The highest of all objects, marks of removals among them; 0 when there is none. */
  get lastRevision(): number {
    return Math.max(0, ...[...this.#known.values()].map(({ revision }) => revision));
  }

  /** Is this the present object, and not one that this leader has replaced? */
  isNews({ metadata }: KubeObject): boolean {
    const known = this.#known.get(metadata.name);
    return known === undefined || versionOf(metadata.resourceVersion) > versionOf(known.version);
  }

  learn(object: KubeObject): void {
    this.#learn(object);
  }

  forget(name: string): void {
    this.#known.delete(name);
  }

  has(name: string): boolean {
    return this.#known.get(name)?.isMark === false;
  }

  /** @throws PortError REGISTRY_CONFLICT when somebody else wrote the object */
  async write({ name, revision, record }: RosterIntent): Promise<void> {
    const version = this.#known.get(name)?.version;
    const content = { state: record === null ? "removed" : "admitted", revision, record };
    const spec = { ...content, digest: digestOf(name, content) };
    const metadata = { name, ...(version === undefined ? {} : { resourceVersion: version }) };
    const body = { apiVersion, kind: "SpindleNode", metadata, spec };
    const answer =
      version === undefined
        ? await this.#client.send({ method: "POST", path: this.#path, body })
        : await this.#client.send({ method: "PUT", path: `${this.#path}/${name}`, body });
    if (answer.kind !== "object") throw overtaken(`SpindleNode ${name}`);
    this.#learn(answer.object);
  }

  /** What a leader before this one announced and may not have written. */
  async complete(intent: RosterIntent): Promise<void> {
    const path = `${this.#path}/${intent.name}`;
    const found = await this.#client.send({ method: "GET", path });
    if (found.kind === "object") {
      this.#learn(found.object);
      const parsed = parseNode(intent.name, found.object.spec);
      if (parsed.kind === "node" && parsed.node.revision >= intent.revision) return;
    }
    await this.write(intent);
  }

  /** Deletes an object that nobody announced. */
  async drop(name: string): Promise<void> {
    await this.#client.remove(`${this.#path}/${name}`, this.#known.get(name)?.version);
    this.forget(name);
  }

  /** @param revision of the last change: a mark of that one stays */
  async dropMarks(revision: number): Promise<void> {
    const marks = [...this.#known].filter(([, one]) => one.isMark && one.revision < revision);
    for (const [name] of marks) await this.drop(name);
  }

  #learn(object: KubeObject): ReturnType<typeof seeNode> {
    const seen = seeNode(object);
    const { name, resourceVersion: version } = object.metadata;
    this.#known.set(name, { version, revision: seen.revision, isMark: seen.value === null });
    return seen;
  }
}

export function overtaken(what: string): PortError {
  return new PortError("REGISTRY_CONFLICT", `${what} was written by somebody else`, true);
}
