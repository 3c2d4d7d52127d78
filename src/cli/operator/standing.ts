/**
 * Orders in pairwise coordination. No controller answers them: every agent acts on the order that
 * stands in the registry, and what became of it is read from the reports. An order is cleared when
 * it is fulfilled; one that its author left behind is cleared by the next.
 */
import { countedNodes, type CountedNode } from "../../core/fleet/barrier.js";
import { hasAbandoned, isFulfilled, isHeldBySome } from "../../core/fleet/pairwise-view.js";
import type { OperatorRequest } from "../../core/fleet/record.js";
import { recordOf, summarizeFleet } from "../../core/fleet/summary.js";
import { sameKey, type KeyIdentity } from "../../core/key-id.js";
import { CliError } from "../exit.js";
import type { OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import type { FleetWatch } from "./fleet-watch.js";
import { watchProgress } from "./follow.js";
import { makeRequest, placeRequest, type RequestContent } from "./request.js";
import { endWith, type RotationOutcome, type RotationResult } from "./rotation-result.js";

interface OrderFlags extends OutputOptions {
  readonly timeout: number;
  readonly reason: string;
  readonly wait?: true;
}

/** The current key leaked: agents skip the jitter, and delete it at the emergency deadline. */
export async function rotateCompromised(
  fleet: FleetWatch,
  flags: OrderFlags,
  shell: Shell,
): Promise<void> {
  const { current, target } = stateOf(fleet);
  if (current === null || target === null)
    throw refused("no node takes up a newer key", distributeHint);
  const order = await placeOrder(fleet, {
    kind: "rotate",
    reason: flags.reason,
    compromised: current,
    abort: null,
  });
  if (flags.wait !== true)
    return end("rotate", "started", { current, target }, fleet, flags, shell);
  const gone = (): true | null => (isHeldBySome(nodesOf(fleet), current) ? null : true);
  const outcome = await carryOut(
    fleet,
    order,
    () => (gone() === null ? null : "done"),
    flags,
    shell,
  );
  await end("rotate", outcome, { current, target }, fleet, flags, shell);
}

const distributeHint = "run `spindle keyfile next` and distribute the file, then give this order";

/**
 * The key that agents take up must not come into use. It is too late once somebody has retired the
 * old one.
 */
export async function abortPairwise(
  fleet: FleetWatch,
  flags: OrderFlags,
  shell: Shell,
): Promise<void> {
  const { current, target } = stateOf(fleet);
  if (target === null) throw refused("no rotation is running", null);
  if (current === null) throw refused("there is no key to go back to", null);
  const order = await placeOrder(fleet, {
    kind: "abort",
    reason: flags.reason,
    compromised: null,
    abort: target,
  });
  const verdict = (): "aborted" | "done" | null => {
    if (hasAbandoned(nodesOf(fleet), target)) return "aborted";
    return sameKey(stateOf(fleet).current, target) ? "done" : null;
  };
  const outcome = await carryOut(fleet, order, verdict, flags, shell);
  await end("abort", outcome, { current, target }, fleet, flags, shell);
}

interface PairwiseState {
  readonly current: KeyIdentity | null;
  /** The key agents take up, or are about to. */
  readonly target: KeyIdentity | null;
}

function stateOf(fleet: FleetWatch): PairwiseState {
  const { current, target } = recordOf(fleet.snapshot());
  return { current, target: target ?? summarizeFleet(fleet.snapshot()).offered?.key ?? null };
}

function nodesOf(fleet: FleetWatch): readonly CountedNode[] {
  const { roster, reports } = fleet.snapshot();
  return countedNodes(roster, reports, []);
}

/** @throws CliError REQUEST_PENDING while another order is not fulfilled */
async function placeOrder(fleet: FleetWatch, content: RequestContent): Promise<OperatorRequest> {
  const standing = fleet.request;
  if (standing !== null && isFulfilled(standing, nodesOf(fleet), stateOf(fleet).current)) {
    await fleet.clearRequest(standing.id);
  }
  const order = makeRequest(content);
  await placeRequest(fleet, order);
  return order;
}

/**
 * Waits for the verdict of the reports, then takes the order back. While nobody waits it stands.
 */
async function carryOut(
  fleet: FleetWatch,
  order: OperatorRequest,
  verdict: () => "done" | "aborted" | null,
  flags: OrderFlags,
  shell: Shell,
): Promise<RotationOutcome> {
  const options = { shell, signal: shell.interrupted(), timeoutMs: flags.timeout };
  const waited = await watchProgress(fleet, verdict, options);
  if (waited.kind !== "reached") return "detached";
  await fleet.clearRequest(order.id);
  return waited.value;
}

function end(
  command: RotationResult["command"],
  outcome: RotationOutcome,
  { current, target }: PairwiseState,
  fleet: FleetWatch,
  flags: OrderFlags,
  shell: Shell,
): Promise<void> {
  const [from, to] = [current?.keyId ?? null, target?.keyId ?? null];
  const result: RotationResult = {
    schemaVersion: 1,
    command,
    rotation: null,
    from,
    to,
    outcome,
    record: null,
  };
  return endWith(result, fleet, flags, shell);
}

function refused(why: string, hint: string | null): CliError {
  return new CliError({
    exitCode: 1,
    code: "REQUEST_REFUSED",
    message: `the order is refused: ${why}`,
    hint,
  });
}
