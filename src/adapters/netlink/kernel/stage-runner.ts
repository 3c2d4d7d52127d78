/**
 * Runs the stages of one plan. A stage starts when the one before it succeeded in full; within a
 * stage every operation is tried, as the kernel goes on past a message that it refuses. What belongs
 * to others is looked up first and left alone: the kernel would replace a policy with the same
 * selector, whoever made it.
 */
import { assert } from "../../../core/assert.js";
import { limits } from "../../../core/limits.js";
import { policySlotOf, saSlotOf, type Operation } from "../../../core/sa.js";
import { formatSpi } from "../../../core/spi.js";
import type { FailedOperation } from "../../../ports/kernel.js";
import type { Secret } from "../../crypto/secret.js";
import type { StagingPace } from "../../staging-pace.js";
import type { MessageBatch } from "../codec/batch.js";
import { describeKernelError, isAbsence, isCollision } from "../codec/errno.js";
import type { KernelError } from "../codec/kernel-error.js";
import { appendDeletePolicy, appendPolicy } from "../codec/policy.js";
import { appendDeleteSa, appendSa, readSa } from "../codec/sa.js";
import { isOwnPolicy, isOwnSa } from "./ownership.js";
import { getPolicies, getSas, type Reader } from "./read-back.js";
import { findHolder, foreignHolder, ownHolder, type Why } from "./slot-holder.js";
import { partsOf, xfrmPolicyOf, xfrmPolicySlotOf, type PolicyPart } from "./policy-translation.js";
import { isInSlot, refuse, xfrmSaIdOf, xfrmSaOf } from "./translate.js";

/** How fast stages run: at once, but for a slow node of the lab. */
export interface StagePace extends StagingPace {
  readonly pause: (ms: number) => Promise<unknown>;
}

/** @returns what failed, all of it in one stage. @throws PortError when the kernel cannot be reached */
export async function runStages(
  reader: Reader,
  stages: readonly (readonly Operation[])[],
  pace: StagePace,
): Promise<readonly FailedOperation[]> {
  for (const stage of stages) {
    const failed = await runStage(reader, stage, pace);
    if (failed.length > 0) return failed;
  }
  return [];
}

async function runStage(
  reader: Reader,
  stage: readonly Operation[],
  pace: StagePace,
): Promise<readonly FailedOperation[]> {
  const failed: FailedOperation[] = [];
  const sliceMax = Math.min(pace.sliceMax, limits.netlinkBatchMessagesMax);
  for (let start = 0; start < stage.length; start += sliceMax) {
    const slice = stage.slice(start, start + sliceMax);
    const pauseMs = pace.pauseMs(slice);
    if (pauseMs > 0) await pace.pause(pauseMs);
    failed.push(...(await runSlice(reader, slice)));
  }
  return failed;
}

async function runSlice(
  reader: Reader,
  slice: readonly Operation[],
): Promise<readonly FailedOperation[]> {
  const failed: FailedOperation[] = [];
  const runnable = slice.filter((operation) => {
    const refusal = refuse(operation, reader.local);
    if (refusal !== null) failed.push({ operation, ...refusal });
    return refusal === null;
  });
  const parts = runnable.flatMap(split);
  const foreign = await findForeign(reader, parts);
  const sendable: Sendable[] = [];
  try {
    for (const part of parts) {
      const outcome = prepare(reader, part, foreign);
      if (outcome === "skip") continue;
      if ("code" in outcome) failed.push(outcome);
      else sendable.push(outcome);
    }
    failed.push(...(await send(reader, sendable)));
  } finally {
    for (const { secret } of sendable) secret?.wipe();
  }
  return failed;
}

/** One message's worth of an operation; `policy` says which of the kernel's policies it is about, if any. */
interface Part {
  readonly operation: Operation;
  readonly policy: PolicyPart | null;
  readonly isFirst: boolean;
}

function split(operation: Operation): readonly Part[] {
  if (operation.kind !== "set-policy" && operation.kind !== "delete-policy") return [{ operation, policy: null, isFirst: true }];
  return partsOf(policySlotOf(operation.policy)).map((policy, place) => ({ operation, policy, isFirst: place === 0 }));
}

/** A part that will be sent, with the key that it needs. */
interface Sendable extends Part {
  readonly secret: Secret | null;
}

/** Deletions of what is not there or not ours, and policies of which somebody else holds a slot. */
interface Foreign {
  readonly nothingToDelete: ReadonlySet<Part>;
  readonly held: ReadonlySet<Operation>;
}

async function findForeign(reader: Reader, parts: readonly Part[]): Promise<Foreign> {
  const nothingToDelete = new Set<Part>();
  const held = new Set<Operation>();
  const { ownership } = reader.local;
  const deletions = parts.flatMap((part) =>
    part.operation.kind === "delete-sa" ? [{ part, slot: part.operation.slot }] : [],
  );
  const owns = await getSas(reader, deletions.map(({ slot }) => slot), (payload, slot) => {
    const sa = readSa(payload);
    return sa !== null && isOwnSa(sa, ownership) && isInSlot(sa, slot);
  });
  deletions.forEach(({ part }, index) => owns[index] !== true && nothingToDelete.add(part));
  const changes = parts.flatMap((part) => (part.policy === null ? [] : [{ part, policy: part.policy }]));
  const present = await getPolicies(reader, changes.map(({ policy }) => policy));
  changes.forEach(({ part }, index) => {
    const policy = present[index] ?? null;
    const isOurs = policy !== null && isOwnPolicy(policy, ownership);
    if (part.operation.kind === "delete-policy" && !isOurs) nothingToDelete.add(part);
    if (part.operation.kind === "set-policy" && policy !== null && !isOurs) held.add(part.operation);
  });
  return { nothingToDelete, held };
}

function prepare(
  reader: Reader,
  part: Part,
  { nothingToDelete, held }: Foreign,
): Sendable | FailedOperation | "skip" {
  const { operation, isFirst } = part;
  if (nothingToDelete.has(part)) return "skip";
  if (held.has(operation)) return isFirst ? { operation, ...foreignHolder("policy") } : "skip";
  if (operation.kind !== "install-sa") return { ...part, secret: null };
  const secret = reader.keySource.derive(operation.sa.key);
  if (secret !== null) return { ...part, secret };
  const message =
    "the fleet key of this security association is not at hand, so its key cannot be derived";
  return { operation, code: "KEY_NOT_AVAILABLE", message };
}

async function send(
  reader: Reader,
  sendable: readonly Sendable[],
): Promise<readonly FailedOperation[]> {
  const failed: FailedOperation[] = [];
  const conflicting: Sendable[] = [];
  for (const { one, verdict } of await attempt(reader, sendable)) {
    if (verdict === "in-the-way") conflicting.push(one);
    else failed.push({ operation: one.operation, ...verdict });
  }
  return conflicting.length === 0 ? failed : [...failed, ...(await replace(reader, conflicting))];
}

/** What is ours and in the way goes, and the SA is tried once more. */
async function replace(
  reader: Reader,
  conflicting: readonly Sendable[],
): Promise<readonly FailedOperation[]> {
  const slots = conflicting.map(({ operation }) => {
    assert(operation.kind === "install-sa", "only SAs have others in their way");
    return saSlotOf(operation.sa);
  });
  for (const { direction, spi, remote } of slots) {
    const fields = { direction, spi: formatSpi(spi), remote: remote.address };
    reader.log.write("warn", "a conflicting SA of ours is replaced", fields);
  }
  const ids = slots.map((slot) => xfrmSaIdOf(slot, reader.local));
  await reader.socket.send(ids, appendDeleteSa);
  const failed = await attempt(reader, conflicting);
  return failed.map(({ one, verdict }) => {
    const why = verdict === "in-the-way" ? ownHolder(one.operation) : verdict;
    return { operation: one.operation, ...why };
  });
}

interface Attempted {
  readonly one: Sendable;
  readonly verdict: Why | "in-the-way";
}

/** @returns what was not done */
async function attempt(
  reader: Reader,
  sendable: readonly Sendable[],
): Promise<readonly Attempted[]> {
  const refused = await reader.socket.send(sendable, (batch, one) => append(batch, one, reader));
  const failed: Attempted[] = [];
  for (const { index, error } of refused) {
    const one = sendable[index]!;
    const verdict = await judge(reader, one.operation, error);
    if (verdict !== null) failed.push({ one, verdict });
  }
  return failed;
}

function append(batch: MessageBatch, { operation, policy, secret }: Sendable, { local }: Reader): void {
  switch (operation.kind) {
    case "install-sa":
      return appendSa(batch, "add", xfrmSaOf(operation.sa, local), secret!.reveal());
    case "delete-sa":
      return appendDeleteSa(batch, xfrmSaIdOf(operation.slot, local));
    case "set-policy":
      return appendPolicy(batch, "set", xfrmPolicyOf(operation.policy, policy!, local));
    case "delete-policy":
      return appendDeletePolicy(batch, xfrmPolicySlotOf(policy!, local));
  }
}

/** Null when the refusal means that all is as wanted: the absent was deleted, the equal installed. */
async function judge(
  reader: Reader,
  operation: Operation,
  error: KernelError,
): Promise<Why | "in-the-way" | null> {
  const isDeletion = operation.kind === "delete-sa" || operation.kind === "delete-policy";
  if (isDeletion && isAbsence(error)) return null;
  if (operation.kind !== "install-sa" || !isCollision(error)) return describeKernelError(error);
  switch (await findHolder(reader, operation.sa)) {
    case "equal":
      return null;
    case "other-key":
      return ownHolder(operation);
    case "in-the-way":
      return "in-the-way";
    case "foreign":
      return foreignHolder("security association");
  }
}
