/**
 * Which lines a key file should hold when the next rotation is prepared: the key the fleet runs,
 * then the new one (design 4.1), so that a node that restarts in between can derive both. It makes
 * no key bytes and writes nothing.
 */
import { assert } from "../assert.js";
import { isNewer, nextKeyId, type KeyId, type KeyRing } from "../key-id.js";
import { fail, succeed, type Result } from "../result.js";
import { newestLine, type KeyFile, type KeyLine } from "./key-file.js";

export interface Successor {
  /** The line that stays, as `current`. */
  readonly kept: KeyLine;
  readonly keyId: KeyId;
}

/**
 * @param runningId the key the fleet runs, null when it is not known. After an abort it is not the
 *   newest line, and then it is the one that must stay; the new id still follows the newest, so
 *   that an aborted id is not used again.
 * @returns an error when the ring has no id left that follows both
 */
export function planSuccessor(
  file: KeyFile,
  ring: KeyRing,
  runningId: KeyId | null,
): Result<Successor, string> {
  const newest = newestLine(file);
  const kept = file.lines.find((line) => line.keyId === runningId) ?? newest;
  const keyId = nextKeyId(newest.keyId, ring);
  if (isNewer(keyId, kept.keyId, ring)) return succeed({ kept, keyId });
  return fail(`key id ${keyId} would not count as newer than ${kept.keyId}, which the fleet runs`);
}

/** What a fleet's record says of its keys. */
export interface FleetKeyIds {
  /** The key it runs; null before its first. */
  readonly current: KeyId | null;
  /** Ids of aborted keys. */
  readonly refused: readonly KeyId[];
}

/**
 * - make: the next key, beside the line that stays
 * - there: a key that the fleet has yet to take up; no other one is made before it has
 * - behind: the fleet does not run by this file, or it was set back: what is added to it could end in lost packets
 * - full: the ring has no id left that follows
 */
export type NextKeyPlan =
  | { readonly kind: "make"; readonly kept: KeyId; readonly keyId: KeyId }
  | { readonly kind: "there"; readonly keyId: KeyId }
  | { readonly kind: "behind"; readonly newest: KeyId }
  | { readonly kind: "full"; readonly keyId: KeyId };

/** @param ids of a key file's lines, oldest first */
export function planNextKey(ids: readonly KeyId[], ring: KeyRing, { current, refused }: FleetKeyIds): NextKeyPlan {
  const newest = ids.at(-1);
  assert(newest !== undefined, "a key file has at least one line");
  if (current === null) return { kind: "there", keyId: newest };
  const isOpen = newest === current || refused.includes(newest);
  if (!isOpen && isNewer(newest, current, ring)) return { kind: "there", keyId: newest };
  if (!isOpen || !ids.includes(current)) return { kind: "behind", newest };
  const last = refused.reduce((furthest, id) => (isNewer(id, furthest, ring) ? id : furthest), newest);
  const keyId = nextKeyId(last, ring);
  return isNewer(keyId, current, ring) ? { kind: "make", kept: current, keyId } : { kind: "full", keyId };
}
