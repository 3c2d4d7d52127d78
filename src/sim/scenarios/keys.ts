/** Fleet keys by number: what they are called is all that a simulated kernel needs. */
import type { CheckValue, KeyId, KeyIdentity } from "../../core/key-id.js";

export function keyOf(keyId: number): KeyIdentity {
  return { keyId: keyId as KeyId, check: keyId.toString(16).padStart(32, "0") as CheckValue };
}
