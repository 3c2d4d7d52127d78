/**
 * Records to text and back. A text that cannot be read is reported and skipped; it is never taken
 * for a deletion and never overwritten blindly: a newer version may have written it.
 */
import type { z } from "zod";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";
import type { KvItem } from "./kv.js";

/**
 * A stored record that this version cannot read. The node or record it is about is there, and its
 * value unknown.
 */
export interface InvalidRecord {
  readonly key: string;
  readonly revision: number;
  readonly reason: string;
}

export type Decoded<T> =
  | { readonly kind: "valid"; readonly value: T }
  | { readonly kind: "invalid"; readonly record: InvalidRecord };

export function decode<T>(schema: z.ZodType<T>, item: KvItem): Decoded<T> {
  const { key, revision, fault } = item;
  if (fault !== undefined) return { kind: "invalid", record: { key, revision, reason: fault } };
  let parsed: unknown;
  try {
    parsed = JSON.parse(item.value);
  } catch {
    return { kind: "invalid", record: { key, revision, reason: "not JSON" } };
  }
  const result = schema.safeParse(parsed);
  if (result.success) return { kind: "valid", value: result.data };
  return { kind: "invalid", record: { key, revision, reason: describe(result.error) } };
}

/**
 * @throws PortError REGISTRY_RECORD_INVALID: the caller may not go on from a record it cannot read.
 */
export function decodeOrThrow<T>(schema: z.ZodType<T>, item: KvItem): T {
  const decoded = decode(schema, item);
  if (decoded.kind === "valid") return decoded.value;
  const { key, reason } = decoded.record;
  const message = `stored record ${key} is unreadable: ${reason}`;
  throw new PortError("REGISTRY_RECORD_INVALID", message, false);
}

/**
 * @throws PortError REGISTRY_RECORD_INVALID or REGISTRY_RECORD_TOO_LARGE: nobody writes what nobody
 * can read.
 */
export function encode<T>(schema: z.ZodType<T>, key: string, value: T): string {
  const result = schema.safeParse(value);
  if (!result.success) {
    const message = `record for ${key} is invalid: ${describe(result.error)}`;
    throw new PortError("REGISTRY_RECORD_INVALID", message, false);
  }
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) <= limits.recordBytesMax) return text;
  const message = `record for ${key} is larger than ${limits.recordBytesMax} bytes`;
  throw new PortError("REGISTRY_RECORD_TOO_LARGE", message, false);
}

/** The first fault with its path; values are left out. */
function describe(error: z.ZodError): string {
  const issue = error.issues[0];
  if (issue === undefined) return "unknown fault";
  const path = issue.path.join(".");
  return path === "" ? issue.message : `${path}: ${issue.message}`;
}
