/** Where a store of kv.ts keeps a record that a harness writes as it is. */
import type { RecordPlace } from "./registry.js";

export function keyOf(place: RecordPlace): string {
  if (place.kind === "fleet") return "fleet";
  return place.kind === "roster" ? `roster/${place.name}` : `reports/${place.name}`;
}
