/**
 * The Secret with the fleet's key file in virtual time: a controller's writer reads it, plans by the production rules, and
 * writes it by compare-and-set; kubelets bring it to the nodes later. Guards can be taken away.
 */
import type { KeyId, KeyIdentity } from "../../src/core/key-id.js";
import { planNextKey, type FleetKeyIds, type NextKeyPlan } from "../../src/core/keyfile/successor.js";
import type { Prng } from "../../src/core/prng.js";
import { fail, succeed } from "../../src/core/result.js";
import type { NextKeyPort } from "../../src/ports/next-key.js";
import type { SimFleet } from "../../src/sim/fleet.js";
import { testKey } from "../support/fleet-snapshot.js";

export type MissingGuard = "compare-and-set" | "there already" | "refused ids";

export class KeySecret {
  /** Every key that was ever in it, in order; equal ids have other bytes. */
  readonly written: KeyIdentity[];
  #keys: readonly KeyIdentity[];
  #version = 1;
  #fleet: SimFleet | null = null;
  readonly #prng: Prng;
  readonly #without: MissingGuard | null;
  /** Requests that failed instead of being answered, from now on. */
  isAway = false;

  constructor(first: KeyIdentity, prng: Prng, without: MissingGuard | null = null) {
    this.written = [first];
    this.#keys = [first];
    this.#prng = prng;
    this.#without = without;
  }

  /** Nodes mount it. */
  mountedBy(fleet: SimFleet): void {
    this.#fleet = fleet;
  }

  /** The writer of one controller, which dies with it: what it has sent is carried out all the same. */
  port(isAlive: () => boolean): NextKeyPort {
    return {
      write: ({ current, refused }, done) => {
        const answer = (result: Parameters<typeof done>[0]): void => this.#later(() => isAlive() && done(result));
        this.#later(() => {
          const [keys, version] = [this.#keys, this.#version];
          if (this.isAway) return answer(fail({ code: "SECRET_FORBIDDEN", message: "no", retryable: true }));
          this.#later(() => {
            if (!isAlive()) return;
            const plan = this.#plan(keys, { current, refused });
            if (plan.kind === "there") return answer(succeed(plan.keyId));
            if (plan.kind !== "make") return answer(fail({ code: "SECRET_BEHIND", message: plan.kind, retryable: true }));
            this.#later(() => {
              if (version !== this.#version && this.#without !== "compare-and-set") {
                return answer(fail({ code: "SECRET_CONFLICT", message: "", retryable: true }));
              }
              this.#commit(keys.filter(({ keyId }) => keyId === plan.kept), plan.keyId);
              answer(succeed(plan.keyId));
            });
          });
        });
      },
    };
  }

  #plan(keys: readonly KeyIdentity[], known: FleetKeyIds): NextKeyPlan {
    const ids = keys.map(({ keyId }) => keyId);
    const running = ids.filter((id) => id === known.current);
    if (this.#without === "there already" && running.length > 0) return planNextKey(running, 255, known);
    if (this.#without !== "refused ids") return planNextKey(ids, 255, known);
    return planNextKey(known.refused.includes(ids.at(-1) ?? (0 as KeyId)) ? running : ids, 255, { ...known, refused: [] });
  }

  #commit(kept: readonly KeyIdentity[], keyId: KeyId): void {
    const fresh = testKey(keyId, String(this.written.length % 10));
    this.written.push(fresh);
    this.#keys = [...kept, fresh];
    this.#version += 1;
    this.#spread();
  }

  /** Kubelets look from time to time: a node may skip a version. */
  #spread(): void {
    const fleet = this.#fleet;
    if (fleet === null) return;
    for (const name of fleet.live()) {
      fleet.time.post(fleet.time.nowMs + this.#prng.below(2_000), () => fleet.setKeys(name, this.#keys));
    }
  }

  #later(run: () => void): void {
    const time = this.#fleet?.time;
    if (time !== undefined) time.post(time.nowMs + 1 + this.#prng.below(40), run);
  }
}
