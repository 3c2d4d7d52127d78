/**
 * Fills a namespace that holds no SpindleNodes, while no controller runs. Revisions of the roster are the ledger's own and
 * stay; a mark, as of a removal, shows the one from which the roster goes on. Versions of the API server cannot be set: the
 * fleet record is written until its own is beyond what the fleet has seen, which is at once where the server is the same.
 */
import { randomUUID } from "node:crypto";
import { limits } from "../../../core/limits.js";
import type { Report } from "../../../core/report.js";
import { PortError } from "../../port-error.js";
import type { RevivedEntry, RevivedRegistry } from "../backup/revive.js";
import type { KubernetesPlace } from "./access.js";
import type { ApiClient } from "./api-client.js";
import { apiVersion, resourcePath } from "./kube-object.js";
import { NodeWriter } from "./node-writer.js";
import type { Registration } from "./object-schemas.js";
import * as writes from "./object-writes.js";
import { openApiClient } from "./open.js";
import { readLedger, writeLedger } from "./roster-ledger.js";

/** No node's: `.` begins no name of one. */
const markName = "restored.spindle.dev";

export interface RestoreProgress {
  readonly seen: number;
  readonly progress: (what: string) => void;
}

/** @throws PortError REGISTRY_NOT_EMPTY and those of the API server */
export async function restoreKubernetes(
  place: KubernetesPlace,
  revived: RevivedRegistry,
  { seen, progress }: RestoreProgress,
): Promise<void> {
  const client = openApiClient(place);
  try {
    const nodes = new NodeWriter(client);
    const { entries } = await nodes.load();
    if (entries.length > 0) throw notEmpty("there are SpindleNodes already");
    const revision = Math.max((revived.entries.at(-1)?.revision ?? 0) + limits.restoreRevisionsSkipped, nodes.lastRevision);
    await beginLedger(client, revision, revived.nextIndex);
    const reports = new Map(revived.reports.map((report) => [report.node, report]));
    for (const [number, entry] of revived.entries.entries()) {
      progress(`restoring nodes: ${number} of ${revived.entries.length}`);
      await restoreNode(client, nodes, entry, reports.get(entry.record.name));
    }
    for (const rotation of revived.rotations) await writes.putRotation(client, rotation);
    await restoreFleet(client, revived, seen, progress);
    await nodes.write({ name: markName, revision, record: null });
  } finally {
    client.close();
  }
}

/** From here on nobody who leads gives out what the fleet may use. */
async function beginLedger(client: ApiClient, revision: number, nextIndex: number): Promise<void> {
  const { version, ledger } = await readLedger(client, true);
  const next = { ...ledger, revision, nextIndex: Math.max(nextIndex, ledger.nextIndex), released: [], intents: [] };
  if ((await writeLedger(client, version, next)) === null) throw notEmpty("a controller leads: stop it first");
}

async function restoreNode(
  client: ApiClient,
  nodes: NodeWriter,
  { record, revision }: RevivedEntry,
  report: Report | undefined,
): Promise<void> {
  const { name, incarnationId, addresses } = record;
  const spec: Registration = { schemaVersion: 1, incarnationId, addresses, attempt: randomUUID() };
  const path = resourcePath(client.namespace, "spindlereports");
  const body = { apiVersion, kind: "SpindleReport", metadata: { name }, spec };
  await nodes.write({ name, revision, record });
  const asked = await client.send({ method: "POST", path, body });
  if (asked.kind !== "object") throw notEmpty(`the SpindleReport of ${name} is there already`);
  if (report !== undefined) await writes.publishReport(client, report);
}

async function restoreFleet(
  client: ApiClient,
  { fleet }: RevivedRegistry,
  seen: number,
  progress: (what: string) => void,
): Promise<void> {
  if (fleet === null) return;
  const beyond = Math.max(fleet.version, seen);
  let version = await writes.writeFleet(client, fleet.record, 0);
  while (version <= beyond) {
    progress(`raising the API server's version: ${version} of ${beyond}`);
    version = await writes.writeFleet(client, { ...fleet.record, rotation: fleet.record.rotation }, version);
  }
}

function notEmpty(why: string): PortError {
  return new PortError("REGISTRY_NOT_EMPTY", `a backup goes into an empty registry: ${why}`, false);
}
