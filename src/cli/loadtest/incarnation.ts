/** Fresh incarnations for agents of a load test. */
import { randomBytes } from "node:crypto";
import { assert } from "../../core/assert.js";
import { parseIncarnationId, type IncarnationId } from "../../core/node.js";

export function randomIncarnationId(): IncarnationId {
  const parsed = parseIncarnationId(randomBytes(16).toString("hex"));
  assert(parsed.ok, "128 random bits are an incarnation id");
  return parsed.value;
}
