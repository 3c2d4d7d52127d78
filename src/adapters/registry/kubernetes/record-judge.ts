/**
 * Says on the objects themselves which records this version cannot read: the condition `Readable` of a report, a fleet
 * record, a rotation or a request that somebody changed by hand or that a newer version wrote. The leader runs it beside
 * the roster; SpindleNodes, which have no status, are answered for in `Admitted` of their SpindleReport.
 *
 * Stateless: what an object says is compared with what it should say. A record that cannot be read is never changed.
 */
import type { z } from "zod";
import { limits } from "../../../core/limits.js";
import type { Log } from "../../../ports/log.js";
import { systemClock } from "../../system/clock.js";
import { backoffMs, pause } from "../backoff.js";
import { fleetKey, reportPrefix, requestKey, rotationPrefix } from "../keys.js";
import { decode } from "../records.js";
import { fleetRecordSchema, operatorRequestSchema, reportSchema, rotationRecordSchema } from "../schemas.js";
import { portErrorOf } from "../settle.js";
import type { ApiClient } from "./api-client.js";
import { collectionOf, requestName } from "./collections.js";
import { conditionOf, withCondition } from "./conditions.js";
import { resourcePath, type KubeObject, type Resource } from "./kube-object.js";
import { listObjects } from "./list-objects.js";
import { watchStream, type ObjectChange } from "./watch-stream.js";

type JudgedResource = Extract<Resource, "spindlereports" | "spindlefleets" | "spindlerotations">;

const readable = "Readable";

/** Until `signal` aborts. Whatever fails is tried again: nothing depends on it. */
export async function judgeRecords(client: ApiClient, log: Log, signal: AbortSignal): Promise<void> {
  const resources: readonly JudgedResource[] = ["spindlereports", "spindlefleets", "spindlerotations"];
  await Promise.all(resources.map((resource) => judgeAll(client, resource, log, signal)));
}

async function judgeAll(client: ApiClient, resource: JudgedResource, log: Log, signal: AbortSignal): Promise<void> {
  for (let attempt = 0; !signal.aborted && !client.signal.aborted; attempt++) {
    try {
      await judgeOnce(client, resource, log, signal);
      attempt = 0;
    } catch (cause) {
      const { code, message } = portErrorOf(cause);
      if (signal.aborted || client.signal.aborted) return;
      log.write("debug", "records not judged, trying again", { resource, code, why: message });
    }
    await pause(backoffMs(attempt, limits.registryReconnectMsMin, limits.registryReconnectMsMax), signal);
  }
}

/** A listing, and what changes until the watch ends. */
async function judgeOnce(client: ApiClient, resource: JudgedResource, log: Log, signal: AbortSignal): Promise<void> {
  const path = resourcePath(client.namespace, resource);
  const { objects, version } = await listObjects(client, path);
  for (const object of objects) await tryToJudge(client, resource, object, log);
  const query = { watch: "1", resourceVersion: version, allowWatchBookmarks: "true" };
  let judging = Promise.resolve();
  const change = ({ kind, object }: ObjectChange): void => {
    if (kind === "put") judging = judging.then(() => tryToJudge(client, resource, object, log));
  };
  await watchStream(client, { method: "GET", path, query }, { idleMs: limits.kubernetesIdleMsMax, change }, signal);
  await judging;
}

/** One that cannot be written to keeps no other one from being judged; the next listing meets it again. */
async function tryToJudge(client: ApiClient, resource: JudgedResource, object: KubeObject, log: Log): Promise<void> {
  try {
    await judge(client, resource, object, log);
  } catch (cause) {
    const { code, message } = portErrorOf(cause);
    if (client.signal.aborted) return;
    log.write("warn", "record not judged", { resource, name: object.metadata.name, code, why: message });
  }
}

async function judge(client: ApiClient, resource: JudgedResource, object: KubeObject, log: Log): Promise<void> {
  const fault = faultOf(resource, object);
  const said = conditionOf(object, readable);
  const { name, generation, resourceVersion } = object.metadata;
  const isSaid = said?.status === "False" && said.message === fault && said.observedGeneration === generation;
  if (fault === null ? said?.status !== "False" : isSaid) return;
  const condition = {
    type: readable,
    status: fault === null ? ("True" as const) : ("False" as const),
    reason: fault === null ? "Readable" : "REGISTRY_RECORD_INVALID",
    message: fault ?? "",
    observedGeneration: generation,
    lastTransitionTime: systemClock.wallAt(),
  };
  if (fault !== null) log.write("error", "record cannot be read", { code: condition.reason, resource, name, why: fault });
  const body = { metadata: { resourceVersion }, status: { conditions: withCondition(object, condition) } };
  const path = `${resourcePath(client.namespace, resource)}/${name}/status`;
  // One that changed meanwhile is judged anew.
  await client.send({ method: "PATCH", path, body });
}

/** Null for a record that can be read, or none. */
function faultOf(resource: JudgedResource, object: KubeObject): string | null {
  const { prefix, schema } = placeOf(resource, object);
  const seen = collectionOf(prefix)?.see(object) ?? null;
  if (seen === null || seen.value === null) return null;
  const decoded = decode<unknown>(schema, { ...seen, value: seen.value });
  return decoded.kind === "valid" ? null : decoded.record.reason;
}

function placeOf(resource: JudgedResource, { metadata }: KubeObject): { readonly prefix: string; readonly schema: z.ZodType } {
  switch (resource) {
    case "spindlereports":
      return { prefix: reportPrefix, schema: reportSchema };
    case "spindlefleets":
      return { prefix: fleetKey, schema: fleetRecordSchema };
    case "spindlerotations":
      return metadata.name === requestName
        ? { prefix: requestKey, schema: operatorRequestSchema }
        : { prefix: rotationPrefix, schema: rotationRecordSchema };
  }
}
