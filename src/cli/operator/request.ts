/**
 * Asks the controller for something and waits for its answer, which stands in the fleet record. A
 * request that nobody answers is withdrawn: it must not be obeyed when the operator has long turned
 * to something else.
 */
import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { PortError } from "../../adapters/port-error.js";
import { systemClock } from "../../adapters/system/clock.js";
import type { FleetRecord, OperatorRequest, RequestAnswer } from "../../core/fleet/record.js";
import { formatDuration } from "../duration.js";
import { CliError } from "../exit.js";
import type { FleetWatch } from "./fleet-watch.js";
import { waitUntil } from "./wait.js";

const answerWithinMs = 10_000;
/** A controller that has read the request answers it even though it is withdrawn. */
const lastAnswerWithinMs = 1_000;

export type RequestContent = Pick<OperatorRequest, "kind" | "reason" | "compromised" | "abort" | "level">;

export function makeRequest(content: RequestContent): OperatorRequest {
  const by = `${userInfo().username}@${hostname()}`;
  return { schemaVersion: 1, id: randomUUID(), by, at: systemClock.wallAt(), ...content };
}

export interface Answered {
  readonly answer: RequestAnswer;
  /** The record that holds the answer. */
  readonly record: FleetRecord;
}

/** @throws CliError REQUEST_PENDING, REQUEST_UNANSWERED, REQUEST_WITHDRAWN */
export async function askController(
  fleet: FleetWatch,
  request: OperatorRequest,
  signal: AbortSignal,
): Promise<Answered> {
  await placeRequest(fleet, request);
  const answered = (): Answered | null => findAnswer(fleet, request.id);
  const waited = await waitUntil(fleet, answered, { signal, timeoutMs: answerWithinMs });
  if (waited.kind === "reached") return waited.value;
  await fleet.clearRequest(request.id);
  const last = await waitUntil(fleet, answered, { timeoutMs: lastAnswerWithinMs });
  if (last.kind === "reached") return last.value;
  throw waited.kind === "interrupted" ? withdrawn() : unanswered();
}

function findAnswer({ fleet }: FleetWatch, requestId: string): Answered | null {
  const answer = fleet?.answer ?? null;
  return fleet !== null && answer?.requestId === requestId ? { answer, record: fleet } : null;
}

/** @throws CliError REQUEST_PENDING */
export async function placeRequest(fleet: FleetWatch, request: OperatorRequest): Promise<void> {
  try {
    await fleet.putRequest(request);
  } catch (cause) {
    if (!(cause instanceof PortError) || cause.code !== "REGISTRY_CONFLICT") throw cause;
    throw pending(fleet);
  }
}

function pending(fleet: FleetWatch): CliError {
  return new CliError({
    exitCode: 1,
    code: "REQUEST_PENDING",
    message: "another operator's request is waiting",
    details: fleet.request === null ? [] : [describeRequest(fleet.request)],
    hint: "let it be answered first; spindle status shows it",
  });
}

function describeRequest({ kind, by, at, reason }: OperatorRequest): string {
  return `${kind} by ${by} at ${at}: ${reason}`;
}

function unanswered(): CliError {
  const within = formatDuration(answerWithinMs);
  return new CliError({
    exitCode: 1,
    code: "REQUEST_UNANSWERED",
    message: `no controller answered within ${within}; the request is withdrawn`,
    hint: 'check that a controller leads (its log says "leading"), and that there are nodes',
  });
}

function withdrawn(): CliError {
  return new CliError({
    exitCode: 1,
    code: "REQUEST_WITHDRAWN",
    message: "interrupted before a controller answered; the request is withdrawn",
  });
}

/**
 * A refusal, as the fault of the command.
 * @param what was refused
 * @param hint what to do about it, unless it was the pre-flight check
 */
export function refusal(
  what: string,
  { code, why }: RequestAnswer,
  hint: string | null = null,
): CliError {
  const isPreflight = code === "PREFLIGHT_REFUSED";
  return new CliError({
    exitCode: isPreflight ? 3 : 1,
    code: isPreflight ? "PREFLIGHT_REFUSED" : "REQUEST_REFUSED",
    message: `${what} is refused: ${why}`,
    hint: isPreflight ? "spindle rotate --dry-run shows the whole check" : hint,
  });
}
