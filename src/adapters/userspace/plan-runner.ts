/**
 * Runs the stages of one plan over a connection. A stage starts when the one before it succeeded in
 * full; within a stage every operation is tried. Key bytes are derived slice by slice, sent, and
 * wiped: none outlives its request.
 */
import type { Operation, SaSpec } from "../../core/sa.js";
import { policySlotOf } from "../../core/sa.js";
import type { FailedOperation } from "../../ports/kernel.js";
import type { KeySource } from "../crypto/key-source.js";
import type { Secret } from "../crypto/secret.js";
import { PortError } from "../port-error.js";
import type { ControlConnection } from "./control-connection.js";
import type { WireOperation } from "./control-protocol.js";
import { inSlices } from "./slices.js";
import type { StagingPace } from "../staging-pace.js";

export interface PlanContext {
  readonly connection: Pick<ControlConnection, "apply">;
  readonly keySource: KeySource;
  readonly pace: StagingPace;
  readonly pause: (ms: number) => Promise<unknown>;
}

/**
 * Returns what failed, all of it in one stage. @throws PortError when the dataplane cannot be
 * reached.
 */
export async function runPlan(
  context: PlanContext,
  stages: readonly (readonly Operation[])[],
): Promise<readonly FailedOperation[]> {
  for (const stage of stages) {
    const failed = await runStage(context, stage);
    if (failed.length > 0) return failed;
  }
  return [];
}

async function runStage(
  context: PlanContext,
  stage: readonly Operation[],
): Promise<FailedOperation[]> {
  const failed: FailedOperation[] = [];
  for (const slice of inSlices(stage, context.pace.sliceMax)) {
    const pauseMs = context.pace.pauseMs(slice);
    if (pauseMs > 0) await context.pause(pauseMs);
    failed.push(...(await runSlice(context, slice)));
  }
  return failed;
}

async function runSlice(
  context: PlanContext,
  slice: readonly Operation[],
): Promise<FailedOperation[]> {
  const { sent, wire, keys, failed } = encodeSlice(context.keySource, slice);
  if (wire.length === 0) return failed;
  const answer = await context.connection.apply(wire, keys);
  for (const { index, code, message } of answer.failed) {
    const operation = sent[index];
    if (operation === undefined)
      throw new PortError("CONTROL_PROTOCOL", `no operation ${index} was sent`, true);
    failed.push({ operation, code, message });
  }
  return failed;
}

/**
 * The operations that can be sent, the keys they need one after another, and those whose key cannot
 * be derived.
 */
interface EncodedSlice {
  readonly sent: Operation[];
  readonly wire: WireOperation[];
  readonly keys: Buffer;
  readonly failed: FailedOperation[];
}

function encodeSlice(keySource: KeySource, slice: readonly Operation[]): EncodedSlice {
  const sent: Operation[] = [];
  const wire: WireOperation[] = [];
  const failed: FailedOperation[] = [];
  const secrets: Secret[] = [];
  try {
    for (const operation of slice) {
      const secret =
        operation.kind === "install-sa" ? keySource.derive(operation.sa.key) : undefined;
      if (secret === null) {
        failed.push(keyMissing(operation));
        continue;
      }
      if (secret !== undefined) secrets.push(secret);
      sent.push(operation);
      wire.push(encodeOperation(operation, secret?.reveal().length ?? 0));
    }
    return { sent, wire, keys: joinKeys(secrets), failed };
  } finally {
    for (const secret of secrets) secret.wipe();
  }
}

function encodeOperation(operation: Operation, keyBytes: number): WireOperation {
  switch (operation.kind) {
    case "install-sa":
      return { kind: "install-sa", sa: encodeSa(operation.sa), keyBytes };
    case "delete-sa":
      return { kind: "delete-sa", slot: operation.slot };
    case "set-policy":
      return {
        kind: "set-policy",
        slot: policySlotOf(operation.policy),
        action: operation.policy.action,
      };
    case "delete-policy":
      return { kind: "delete-policy", slot: operation.policy };
  }
}

/** An SA as the dataplane knows it: whose key it is stays with the agent. */
function encodeSa(sa: SaSpec): Extract<WireOperation, { kind: "install-sa" }>["sa"] {
  const { direction, spi, source, destination, key } = sa;
  return { direction, spi, source, destination, mode: key.mode };
}

/** Memory of its own, not of Node's shared pool: it is zeroed after use. */
function joinKeys(secrets: readonly Secret[]): Buffer {
  const keys = Buffer.alloc(secrets.reduce((bytes, secret) => bytes + secret.reveal().length, 0));
  let start = 0;
  for (const secret of secrets) start += secret.reveal().copy(keys, start);
  return keys;
}

function keyMissing(operation: Operation): FailedOperation {
  const message =
    "the fleet key of this security association is not at hand, so its key cannot be derived";
  return { operation, code: "KEY_NOT_AVAILABLE", message };
}
