/**
 * Runs the operations of one `apply` request on a dataplane, in order and to the end: one that
 * fails does not stop the others, as in a netlink batch. Key bytes are read in place from the
 * attachment; the dataplane copies them.
 */
import type { Result } from "../../core/result.js";
import { PortError } from "../port-error.js";
import type { AppliedReply, WireOperation } from "./control-protocol.js";
import type { Dataplane } from "./dataplane.js";
import type { Refusal } from "./refusal.js";

export interface RunOutcome {
  readonly failed: AppliedReply["failed"];
  /** Did any operation change anything? */
  readonly changed: boolean;
}

type OperationOutcome = Result<boolean, Refusal>;

/**
 * @throws PortError `CONTROL_PROTOCOL`, before anything is done, when the keys do not fill the
 * attachment.
 */
export function runOperations(
  dataplane: Dataplane,
  operations: readonly WireOperation[],
  keys: Buffer,
): RunOutcome {
  const keyOf = cutKeys(operations, keys);
  const failed: AppliedReply["failed"] = [];
  let changed = false;
  for (const [index, operation] of operations.entries()) {
    const outcome = runOperation(dataplane, operation, keyOf[index]!);
    if (outcome.ok) changed ||= outcome.value;
    else failed.push({ index, ...outcome.error });
  }
  return { failed, changed };
}

/** The key of each operation, as a view of the attachment; empty for those without. */
function cutKeys(operations: readonly WireOperation[], keys: Buffer): Buffer[] {
  let start = 0;
  const cut = operations.map((operation) => {
    const end = start + (operation.kind === "install-sa" ? operation.keyBytes : 0);
    const key = keys.subarray(start, end);
    start = end;
    return key;
  });
  if (start === keys.length) return cut;
  throw new PortError(
    "CONTROL_PROTOCOL",
    `the operations announce ${start} bytes of keys, not ${keys.length}`,
    true,
  );
}

/** The value is true when something changed. */
function runOperation(
  dataplane: Dataplane,
  operation: WireOperation,
  key: Buffer,
): OperationOutcome {
  switch (operation.kind) {
    case "install-sa":
      return asChange(dataplane.installSa(operation.sa, key));
    case "delete-sa":
      return { ok: true, value: dataplane.deleteSa(operation.slot) };
    case "set-policy":
      return asChange(dataplane.setPolicy(operation.slot, operation.action));
    case "delete-policy":
      return { ok: true, value: dataplane.deletePolicy(operation.slot) };
  }
}

function asChange(outcome: Result<"installed" | "set" | "unchanged", Refusal>): OperationOutcome {
  return outcome.ok ? { ok: true, value: outcome.value !== "unchanged" } : outcome;
}
