/**
 * The fleet keys an agent can derive from, one per key id, as extracted keys that can be wiped. It
 * never holds two keys of one id, so a `KeyRef`, which names an id alone, is never ambiguous. It
 * does not know what the key file offers.
 */
import type { AeadKey } from "../../core/keyfile/key-file.js";
import { sameKey, type KeyId, type KeyIdentity } from "../../core/key-id.js";
import type { KeyRef } from "../../core/sa.js";
import { checkValueOf, deriveSaKey, extractFleetKey, type DerivationKey } from "./derivation.js";
import type { KeySource } from "./key-source.js";
import type { Secret } from "./secret.js";

/** A key that may be put on the ring, or must be dropped again. */
export interface Candidate {
  readonly identity: KeyIdentity;
  readonly key: DerivationKey;
}

/** Does not wipe the bytes of the key file: the caller does. */
export function makeCandidate(keyId: KeyId, fleetKey: AeadKey): Candidate {
  const key = extractFleetKey(fleetKey.bytes);
  return { identity: { keyId, check: checkValueOf(key) }, key };
}

export function dropCandidates(candidates: readonly Candidate[]): void {
  for (const candidate of candidates) candidate.key.pseudorandomKey.wipe();
}

export class Keyring implements KeySource {
  readonly #keys = new Map<KeyId, Candidate>();

  /** The key held under an id. */
  identityOf(keyId: KeyId): KeyIdentity | null {
    return this.#keys.get(keyId)?.identity ?? null;
  }

  identities(): readonly KeyIdentity[] {
    return [...this.#keys.values()].map((held) => held.identity);
  }

  /**
   * Takes the candidate over. An equal key is kept and the candidate wiped.
   * @returns false, with the candidate wiped, when the id holds other bytes: forget those first
   */
  offer(candidate: Candidate): boolean {
    const held = this.#keys.get(candidate.identity.keyId);
    if (held === undefined) {
      this.#keys.set(candidate.identity.keyId, candidate);
      return true;
    }
    candidate.key.pseudorandomKey.wipe();
    return sameKey(held.identity, candidate.identity);
  }

  derive(sa: KeyRef): Secret | null {
    const held = this.#keys.get(sa.keyId);
    return held === undefined ? null : deriveSaKey(held.key, sa);
  }

  /** Wipes the key; the absent, and other bytes under its id, are left alone. */
  forget(identity: KeyIdentity): void {
    const held = this.#keys.get(identity.keyId);
    if (held === undefined || !sameKey(held.identity, identity)) return;
    held.key.pseudorandomKey.wipe();
    this.#keys.delete(identity.keyId);
  }

  /** Wipes all: the agent ends. */
  wipe(): void {
    dropCandidates([...this.#keys.values()]);
    this.#keys.clear();
  }
}
