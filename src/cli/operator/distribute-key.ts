/**
 * `rotate --secret`: the next key goes into the Secret that the nodes mount, and with `--wait` this
 * shows how far it has come, until every node offers it or the rotation to it has begun.
 */
import type { KeyId } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import { CliError } from "../exit.js";
import { watchLines, type FollowOptions } from "./follow.js";
import type { FleetWatch } from "./fleet-watch.js";
import { writeNextKey } from "./next-key-secret.js";
import type { Waited } from "./wait.js";

/** @throws CliError BAD_USAGE, and those of `writeNextKey` */
export async function writeKey(fleet: FleetWatch, name: string, file: string): Promise<KeyId> {
  const { registry, ring } = fleet.place;
  if (registry.kind !== "kubernetes") {
    const message = "--secret needs registry.kind kubernetes: there are no Secrets elsewhere";
    const hint = "spindle keyfile next adds a key to a file";
    throw new CliError({ exitCode: 2, code: "BAD_USAGE", message, hint });
  }
  const { openApiClient } = await import("../../adapters/registry/kubernetes/open.js");
  const client = openApiClient(registry);
  return writeNextKey(client, { name, file, ring }, fleet.fleet).finally(() => client.close());
}

/** @param before the fleet's count of rotations when the key was written */
export function untilOffered(
  fleet: FleetWatch,
  keyId: KeyId,
  before: number,
  options: FollowOptions,
): Promise<Waited<true>> {
  const offers = (name: NodeName): boolean =>
    fleet.snapshot().reports.get(name)?.available.some((key) => key.keyId === keyId) === true;
  const nodes = (): readonly NodeName[] => [...fleet.snapshot().roster.entries.keys()];
  const isOver = (): true | null => {
    const hasBegun = fleet.fleet !== null && fleet.fleet.rotation > before;
    return hasBegun || (nodes().length > 0 && nodes().every(offers)) ? true : null;
  };
  const lines = (): readonly string[] => {
    const all = nodes();
    return [`key ${keyId} is offered by ${all.filter(offers).length} of ${all.length} nodes`];
  };
  return watchLines(fleet, isOver, options, lines);
}
