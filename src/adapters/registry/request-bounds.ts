/** What a store accepts. Checked where requests arrive, from the same process or over a socket. */
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";
import type { KvCompare, KvOperation } from "./kv.js";

/** ASCII, so that keys sort by bytes and every prefix has an end. */
const keyPattern = /^[a-z0-9][-a-z0-9./]*$/;

/** @throws PortError REGISTRY_REQUEST_INVALID */
export function checkKeys(keys: readonly string[]): void {
  for (const key of keys) {
    if (key.length > limits.registryKeyLengthMax || !keyPattern.test(key)) {
      throw invalid("a key is empty, too long or has other characters than a-z, 0-9, . / -");
    }
  }
}

/** @throws PortError REGISTRY_REQUEST_INVALID or REGISTRY_RECORD_TOO_LARGE */
export function checkTransaction(
  compares: readonly KvCompare[],
  operations: readonly KvOperation[],
): void {
  if (compares.length + operations.length > limits.registryOperationsMax) {
    throw invalid("a transaction has too many operations");
  }
  checkKeys([...compares, ...operations].map(({ key }) => key));
  const bytes = operations.reduce((sum, operation) => sum + sizeOf(operation), 0);
  if (bytes <= limits.recordBytesMax) return;
  const message = `a transaction writes ${bytes} bytes, more than ${limits.recordBytesMax}`;
  throw new PortError("REGISTRY_RECORD_TOO_LARGE", message, false);
}

function sizeOf(operation: KvOperation): number {
  return operation.kind === "put" ? Buffer.byteLength(operation.value) : 0;
}

function invalid(message: string): PortError {
  return new PortError("REGISTRY_REQUEST_INVALID", message, false);
}
