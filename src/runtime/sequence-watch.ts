/**
 * Warns of outbound SAs that run out of sequence numbers, once per key: what is left must last until a rotation has ended. With
 * ESN, which all SAs have that an agent makes, no key lives that long. It decides nothing: when to rotate is the operator's.
 */
import type { KeyId } from "../core/key-id.js";
import { limits } from "../core/limits.js";
import type { Log } from "../ports/log.js";
import type { KeyFigure } from "./key-figures.js";

export class SequenceWatch {
  readonly #warned = new Set<KeyId>();

  /** After each dump. A key that has gone may come again, a turn of the ring later. */
  look(figures: readonly KeyFigure[], log: Log): void {
    const outbound = figures.filter(({ direction }) => direction === "out");
    for (const keyId of [...this.#warned]) if (!outbound.some((one) => one.keyId === keyId)) this.#warned.delete(keyId);
    for (const { keyId, sequence, sequenceShare } of outbound.filter(isLow)) {
      if (this.#warned.has(keyId)) continue;
      this.#warned.add(keyId);
      const usedPercent = Math.floor(100 * sequenceShare);
      log.write("warn", "sequence numbers run out, rotate now", { keyId, usedPercent, sequence });
    }
  }
}

/** Does an outbound SA of the key come near the last of its sequence numbers? */
export function isLow({ direction, sequenceShare }: Pick<KeyFigure, "direction" | "sequenceShare">): boolean {
  return direction === "out" && sequenceShare >= limits.sequenceShareWarned;
}
