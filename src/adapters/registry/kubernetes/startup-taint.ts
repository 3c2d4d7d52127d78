/**
 * The taint that keeps pods off a Node until its agent is ready. Only that taint is touched: each is removed together
 * with a test that it is still what was read at its place, so a change by somebody else in between fails ours.
 *
 * Needs the right to patch Nodes and no other: a patch that changes nothing is answered with the Node as it is.
 */
import { z } from "zod";
import type { NodeName } from "../../../core/node.js";
import { PortError } from "../../port-error.js";
import type { ApiClient } from "./api-client.js";
import { nodePath } from "./kube-object.js";

/** Compared as a whole, with fields that this version does not know. */
const taintSchema = z.looseObject({ key: z.string() });
const nodeSpecSchema = z.object({ taints: z.array(taintSchema).default([]) });

interface PatchOperation {
  readonly op: "test" | "remove";
  readonly path: string;
  readonly value?: unknown;
}

/**
 * Removes every taint of this key, whatever its effect.
 * @throws PortError KUBERNETES_NODE_UNKNOWN, REGISTRY_CONFLICT when the taints change meanwhile, or as `ApiClient.send` does
 */
export async function removeStartupTaint(client: ApiClient, node: NodeName, key: string): Promise<"removed" | "absent"> {
  const path = nodePath(node);
  const found = await client.send({ method: "PATCH", path, body: {} });
  if (found.kind !== "object") throw unknownNode(node);
  const spec = nodeSpecSchema.safeParse(found.object.spec ?? {});
  if (!spec.success) throw new PortError("REGISTRY_RECORD_INVALID", `Node ${node} has taints that this version cannot read`, true);
  const { taints } = spec.data;
  const removals = taints.flatMap((taint, place) => (taint.key === key ? [removalOf(taint, place)] : []));
  if (removals.length === 0) return "absent";
  // From the end: a removal moves what is behind it.
  const body = removals.reverse().flat();
  const patched = await sendUnlessChanged(client, path, body);
  if (patched.kind === "absent") throw unknownNode(node);
  if (patched.kind === "conflict") throw changed(node, patched.message);
  return "removed";
}

function removalOf(taint: unknown, place: number): readonly PatchOperation[] {
  const path = `/spec/taints/${place}`;
  return [{ op: "test", path, value: taint }, { op: "remove", path }];
}

async function sendUnlessChanged(client: ApiClient, path: string, body: readonly PatchOperation[]) {
  try {
    return await client.send({ method: "PATCH", path, body });
  } catch (cause) {
    // A test that does not hold is answered as a patch that makes no sense (422).
    const isRefused = cause instanceof PortError && cause.code === "REGISTRY_RECORD_INVALID";
    if (isRefused) return { kind: "conflict", message: cause.message } as const;
    throw cause;
  }
}

/** Most likely; a webhook that admits no change answers the same. */
function changed(node: NodeName, why: string): PortError {
  return new PortError("REGISTRY_CONFLICT", `the taints of Node ${node} changed meanwhile, or may not be changed: ${why}`, true);
}

function unknownNode(node: NodeName): PortError {
  return new PortError("KUBERNETES_NODE_UNKNOWN", `there is no Node ${node} on the API server`, true);
}
