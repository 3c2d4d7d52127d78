/**
 * A fleet of real processes as a test operates it: with its own view of the registry, so that what
 * must have happened before the next step is waited for there, and never by time.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import { connectRegistry } from "../../src/adapters/registry/connect.js";
import { addNextKey, generateKeyFile } from "../../src/cli/keyfile-operations.js";
import { FleetWatch } from "../../src/cli/operator/fleet-watch.js";
import { findFleet } from "../../src/cli/operator/place.js";
import { makeRequest } from "../../src/cli/operator/request.js";
import { waitUntil } from "../../src/cli/operator/wait.js";
import { recordOf, summarizeFleet, type FleetSummary } from "../../src/core/fleet/summary.js";
import type { KeyId } from "../../src/core/key-id.js";
import {
  spindle,
  startProcessFleet,
  type Cleanup,
  type Outcome,
  type ProcessFleet,
  type ProcessFleetOptions,
} from "./process-fleet.js";

export interface OperatedFleet {
  readonly processes: ProcessFleet;
  readonly watch: FleetWatch;
  /** The key file that is extended and distributed. */
  readonly keys: string;
  /** Runs a command on this fleet. */
  run(command: string, ...flags: string[]): Promise<Outcome>;
  /** Waits until the summary is as wanted. */
  see(wanted: (summary: FleetSummary) => boolean): Promise<void>;
}

export const everybody = ["node-1", "node-2"];

const seeWithinMs = 30_000;

/** Two nodes with key 7 in their key files. */
export async function startFleet(
  cleanup: Cleanup,
  options: ProcessFleetOptions = {},
): Promise<OperatedFleet> {
  const processes = await startProcessFleet(cleanup, everybody, options);
  const keys = join(processes.folder, "keys");
  await makeKeys(keys, 7);
  processes.distribute(keys, everybody);
  const place = await findFleet(processes.controllerFile, {});
  const watch = new FleetWatch(place, await connectRegistry(place.registry));
  cleanup.after(() => watch.close());
  const config = ["--config", processes.controllerFile];
  return {
    processes,
    watch,
    keys,
    run: (command, ...flags) => spindle(...command.split(" "), ...flags, ...config),
    see: (wanted) => see(watch, wanted),
  };
}

async function see(watch: FleetWatch, wanted: (summary: FleetSummary) => boolean): Promise<void> {
  const summary = (): FleetSummary => summarizeFleet(watch.snapshot());
  const isSeen = (): true | null => (watch.isWhole && wanted(summary()) ? true : null);
  // Leases and rotation records have no watch.
  const refreshing = setInterval(() => watch.refresh(), 200);
  const waited = await waitUntil(watch, isSeen, { timeoutMs: seeWithinMs });
  clearInterval(refreshing);
  if (waited.kind === "reached") return;
  assert.fail(`not seen: ${wanted.toString()}\n${JSON.stringify(summary(), null, 2)}`);
}

export async function makeKeys(path: string, keyId: number): Promise<void> {
  const algorithm = "aes-gcm-128";
  await generateKeyFile({ path, keyId: keyId as KeyId, algorithm, force: true });
}

/** The fleet runs its first key, 7. */
export async function startSteadyFleet(
  cleanup: Cleanup,
  options: ProcessFleetOptions = {},
): Promise<OperatedFleet> {
  const fleet = await startFleet(cleanup, options);
  if (options.coordination !== "pairwise" && options.start !== "auto") {
    await fleet.see(({ offered }) => offered?.nodes === 2);
    const order = { kind: "rotate", reason: "first key", compromised: null, abort: null } as const;
    await fleet.watch.putRequest(makeRequest(order));
  }
  await seeSteady(fleet, 7);
  return fleet;
}

export async function seeSteady(fleet: OperatedFleet, keyId: number): Promise<void> {
  await fleet.see(({ phase, current, request, exceptions, nodes }) => {
    const isCalm = phase === "steady" && request === null && exceptions.length === 0;
    return isCalm && nodes === 2 && current?.keyId === keyId;
  });
}

/** Also of a request that a summary of a pairwise fleet would not show. */
export async function seeRequest({ watch }: OperatedFleet, isThere: boolean): Promise<void> {
  const isSeen = (): true | null => ((watch.request !== null) === isThere ? true : null);
  const waited = await waitUntil(watch, isSeen, { timeoutMs: seeWithinMs });
  assert.equal(waited.kind, "reached");
}

/**
 * Makes the next key and gives it to the nodes; waits until they offer it, or a rotation to it
 * runs.
 */
export async function offerNext(fleet: OperatedFleet, nodes: readonly string[]): Promise<void> {
  const { current } = recordOf(fleet.watch.snapshot());
  const fleetKey = (): Promise<typeof current> => Promise.resolve(current);
  await addNextKey({ path: fleet.keys, ring: 255, algorithm: null, force: false, fleetKey });
  fleet.processes.distribute(fleet.keys, nodes);
  await fleet.see(({ offered, target }) => target !== null || offered?.nodes === nodes.length);
}

export async function succeed(running: Promise<Outcome>): Promise<Outcome> {
  const outcome = await running;
  assert.equal(outcome.exitCode, 0, outcome.stderr);
  return outcome;
}

/** The fault that a command printed because of `--json`. */
export function faultOf({ stderr }: Outcome): { readonly code: string; readonly message: string } {
  const last = stderr.trimEnd().split("\n").at(-1) ?? "";
  return (JSON.parse(last) as { error: { code: string; message: string } }).error;
}
