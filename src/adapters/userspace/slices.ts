/** Cuts lists into pieces that fit one control frame. */
import { limits } from "../../core/limits.js";

/** Consecutive slices of at most `sizeMax` items; none for an empty list. */
export function inSlices<T>(
  items: readonly T[],
  sizeMax: number = limits.controlEntriesPerFrameMax,
): T[][] {
  const slices: T[][] = [];
  for (let start = 0; start < items.length; start += sizeMax)
    slices.push(items.slice(start, start + sizeMax));
  return slices;
}
