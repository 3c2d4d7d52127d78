/**
 * Which lines a key file should hold when the next rotation is prepared: the key the fleet runs,
 * then the new one (design 4.1), so that a node that restarts in between can derive both. It makes
 * no key bytes and writes nothing.
 */
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
