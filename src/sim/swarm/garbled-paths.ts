/**
 * A fault of the network beside those of `faults`: for a while, what one node sends to another with a key that is yet to come
 * does not get through. Nobody can know but by a probe. Drawn by a generator of its own, so that a seed without it is as ever.
 */
import type { KeyId } from "../../core/key-id.js";
import { makePrng } from "../../core/prng.js";
import type { Scene } from "./faults.js";

const count = 8;
const spacingMsMax = 1_500;
const outageMsMax = 4_000;

export function garblePaths({ fleet, operator }: Scene, seed: number): void {
  const prng = makePrng(seed * 15_485_863 + 5);
  let atMs = fleet.time.nowMs;
  for (let i = 0; i < count; i += 1) {
    atMs += prng.below(spacingMsMax);
    const [fromDraw, toDraw, outageMs] = [prng.share(), prng.share(), prng.below(outageMsMax)];
    fleet.time.at(atMs, () => {
      const live = fleet.live();
      const [from, to] = [live[Math.floor(fromDraw * live.length)], live[Math.floor(toDraw * live.length)]];
      if (from === undefined || to === undefined || from === to) return;
      fleet.garble(from, to, (operator.newest.keyId + 1) as KeyId);
      fleet.time.at(fleet.time.nowMs + outageMs, () => fleet.node(to).kernel.clearPaths());
    });
  }
}
