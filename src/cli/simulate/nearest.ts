/** A word for one that does not exist: the nearest known one, or all of them. */

/** @returns "did you mean X?", or the list when nothing is near */
export function nearest(text: string, known: readonly string[]): string {
  const ranked = known.map((name) => ({ name, distance: editDistance(text, name) })).sort((one, other) => one.distance - other.distance);
  const [best] = ranked;
  if (best !== undefined && best.distance <= Math.max(2, text.length / 3)) return `did you mean ${best.name}?`;
  return `there are: ${known.join(", ")}`;
}

/** Levenshtein: insertions, deletions and replacements of one letter. */
function editDistance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= other.length; j += 1) {
      const replaced = (row[j - 1] ?? 0) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[other.length] ?? 0;
}
