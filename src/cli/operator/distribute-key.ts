/**
 * `rotate --secret`: the next key goes into the Secret that the nodes mount, and with `--wait` this
 * shows how far it has come: offered by the nodes, then taken into use by the rotation to it and no other.
 */
import type { FleetRecord, RotationRecord } from "../../core/fleet/record.js";
import type { KeyId } from "../../core/key-id.js";
import type { FleetKeyIds } from "../../core/keyfile/successor.js";
import type { NodeName } from "../../core/node.js";
import { CliError } from "../exit.js";
import { keyStanding, type AwaitedKey } from "./awaited-key.js";
import { fleetLines, readAudit, watchLines, type FollowOptions } from "./follow.js";
import type { FleetWatch } from "./fleet-watch.js";
import { writeNextKey } from "./next-key-secret.js";
import type { Waited } from "./wait.js";

/** @throws CliError BAD_USAGE, ROTATION_RUNNING, SECRET_AHEAD, and those of `writeNextKey` */
export async function writeKey(fleet: FleetWatch, name: string, file: string): Promise<KeyId> {
  const { registry, ring } = fleet.place;
  const record = fleet.fleet;
  if (registry.kind !== "kubernetes") {
    const message = "--secret needs registry.kind kubernetes: there are no Secrets elsewhere";
    const hint = "spindle keyfile next adds a key to a file";
    throw new CliError({ exitCode: 2, code: "BAD_USAGE", message, hint });
  }
  const { openApiClient } = await import("../../adapters/registry/kubernetes/open.js");
  if (record !== null && record.phase !== "steady") throw isRunning(record);
  const client = openApiClient(registry);
  const key = await writeNextKey(client, { name, file, ring }, keyIdsOf(record), true).finally(() => client.close());
  if (!key.isNew) throw isAhead(name, key.keyId, record);
  return key.keyId;
}

export function keyIdsOf(record: FleetRecord | null): FleetKeyIds {
  return { current: record?.current?.keyId ?? null, refused: record?.refused.map(({ keyId }) => keyId) ?? [] };
}

function isRunning({ rotation }: FleetRecord): CliError {
  const message = `rotation ${rotation} runs: no key is added before it ends`;
  return new CliError({ exitCode: 1, code: "ROTATION_RUNNING", message, hint: "spindle rotate --wait follows it" });
}

function isAhead(name: string, keyId: KeyId, record: FleetRecord | null): CliError {
  const current = record?.current?.keyId;
  const running = current === undefined ? "no key yet" : `key ${current}`;
  const message = `Secret ${name} holds key ${keyId} already, and the fleet runs ${running}`;
  const hint = "a mounted Secret takes up to a minute to every node; spindle status shows who offers the key";
  return new CliError({ exitCode: 1, code: "SECRET_AHEAD", message, hint });
}

export type KeyEnd = "done" | "aborted" | "replaced";

/** @returns how the key ended, or `ask` when every node offers it and no rotation runs: one may be asked for then */
export async function watchKey(
  fleet: FleetWatch,
  key: AwaitedKey,
  options: FollowOptions,
): Promise<Waited<KeyEnd | "ask">> {
  const nodes = (): readonly NodeName[] => [...fleet.snapshot().roster.entries.keys()];
  const offering = (): readonly NodeName[] => nodes().filter((name) => isOfferedBy(fleet, name, key));
  const others = new Set<string>();
  const check = (): KeyEnd | "ask" | null => {
    const standing = keyStanding(fleet.fleet, key);
    if (standing === "between") others.add(describeOther(fleet, key));
    if (standing === "between" || standing === "running") return null;
    if (standing !== "offered") return standing;
    return nodes().length > 0 && offering().length === nodes().length ? "ask" : null;
  };
  const rotationLines = fleetLines(fleet, options.shell);
  const lines = (): readonly string[] => {
    const standing = keyStanding(fleet.fleet, key);
    if (standing === "between") return [describeOther(fleet, key)];
    if (standing !== "offered") return rotationLines();
    return [`key ${key.keyId} is offered by ${offering().length} of ${nodes().length} nodes`];
  };
  const waited = await watchLines(fleet, check, options, lines);
  for (const line of others) options.shell.stderr.write(`${line}\n`);
  return waited;
}

function isOfferedBy(fleet: FleetWatch, name: NodeName, { keyId }: AwaitedKey): boolean {
  return fleet.snapshot().reports.get(name)?.available.some((key) => key.keyId === keyId) === true;
}

function describeOther({ fleet }: FleetWatch, { keyId }: AwaitedKey): string {
  return `rotation ${fleet?.rotation ?? 0} to key ${fleet?.target?.keyId ?? "?"} came between; key ${keyId} is waited for`;
}

/** The audit record of the rotation to it; null when it is not closed in time. */
export function readKeyAudit(fleet: FleetWatch, { keyId, before }: AwaitedKey, signal: AbortSignal): Promise<RotationRecord | null> {
  return readAudit(fleet, ({ rotation, to }) => rotation > before && to.keyId === keyId, signal);
}
