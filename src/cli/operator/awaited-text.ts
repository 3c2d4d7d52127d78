/** A rotation that waits for its key, for people. */
import type { AwaitedRotation } from "../../core/fleet/record.js";

/** @param offering how many nodes offer the key: `2 of 3 nodes` */
export function awaitedWords({ keyId, problem }: Pick<AwaitedRotation, "keyId" | "problem">, offering: string): string {
  if (problem !== null) return `the controller could not write the next key, and tries again: ${problem.code}: ${problem.why}`;
  if (keyId === null) return "the controller writes the next key";
  return `key ${keyId} is written; ${offering} offer it`;
}
