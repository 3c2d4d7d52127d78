/**
 * The one way to change the roster. Each change writes the ledger (`roster-meta`) in its
 * transaction and compares it first: so the ledger's revision is the roster revision, and changes
 * have one order. Optimistic: whoever finds that another came first reads again, after a random
 * wait.
 */
import { limits } from "../../core/limits.js";
import type { NodeName, RosterRevision } from "../../core/node.js";
import { PortError } from "../port-error.js";
import { backoffMs, pause } from "./backoff.js";
import { rosterKey, rosterMetaKey, rosterPrefix } from "./keys.js";
import type { KvItem, KvOperation, KvTransactions } from "./kv.js";
import { decodeOrThrow, encode } from "./records.js";
import { rosterMetaSchema } from "./schemas.js";

/** The ledger and one node's record, as of one revision. */
export interface RosterView {
  readonly revision: RosterRevision;
  readonly nextIndex: number;
  readonly item: KvItem | null;
}

/** `operations` come besides the ledger, which every change writes. */
export type Decision<T> =
  | { readonly kind: "keep"; readonly result: T }
  | {
      readonly kind: "change";
      readonly nextIndex: number;
      readonly operations: readonly KvOperation[];
      readonly result: (revision: RosterRevision) => T;
    };

/**
 * Commits what `decide` makes of the present view of `name`, deciding anew when another writer came
 * first.
 * @throws PortError REGISTRY_BUSY when others came first again and again, REGISTRY_CLOSED when
 * `signal` is aborted
 */
export async function changeRoster<T>(
  kv: KvTransactions,
  name: NodeName,
  signal: AbortSignal,
  decide: (view: RosterView) => Promise<Decision<T>>,
): Promise<T> {
  for (let attempt = 0; attempt < limits.registryConflictAttemptsMax; attempt++) {
    const view = await readView(kv, name);
    const decision = await decide(view);
    if (decision.kind === "keep") return decision.result;
    const revision = await commit(kv, name, view, decision.nextIndex, decision.operations);
    if (revision !== null) return decision.result(revision);
    const waitMs = backoffMs(attempt, limits.registryConflictMsMin, limits.registryConflictMsMax);
    await pause(waitMs, signal);
    if (signal.aborted) throw new PortError("REGISTRY_CLOSED", "the registry was closed", false);
  }
  throw new PortError("REGISTRY_BUSY", "too many others change the roster at once", true);
}

async function readView(kv: KvTransactions, name: NodeName): Promise<RosterView> {
  const { items } = await kv.get([rosterMetaKey, rosterKey(name)]);
  const meta = items.find((item) => item.key === rosterMetaKey);
  if (meta === undefined) await checkNobodyThere(kv);
  return {
    revision: (meta?.revision ?? 0) as RosterRevision,
    nextIndex: meta === undefined ? 0 : decodeOrThrow(rosterMetaSchema, meta).nextIndex,
    item: items.find((item) => item.key === rosterKey(name)) ?? null,
  };
}

/**
 * Without the ledger every index counts as unused. Next to entries that is a loss, by hand or by a
 * restore, and to go on would give indices out twice.
 * @throws PortError REGISTRY_LEDGER_LOST
 */
async function checkNobodyThere(kv: KvTransactions): Promise<void> {
  const { items } = await kv.range(rosterPrefix, 1);
  // The first admission of all may have come in between: it wrote both.
  if (items.length === 0 || (await hasLedger(kv))) return;
  const message = "the roster has nodes and no record of the indices that were given out";
  throw new PortError("REGISTRY_LEDGER_LOST", message, true);
}

async function hasLedger(kv: KvTransactions): Promise<boolean> {
  const { items } = await kv.range(rosterMetaKey, 1);
  return items.length > 0;
}

/** Null when another writer came first. */
async function commit(
  kv: KvTransactions,
  name: NodeName,
  view: RosterView,
  nextIndex: number,
  operations: readonly KvOperation[],
): Promise<RosterRevision | null> {
  const ledger = encode(rosterMetaSchema, rosterMetaKey, { schemaVersion: 1, nextIndex });
  const outcome = await kv.transaction(
    [
      { kind: "unchanged", key: rosterMetaKey, revision: view.revision },
      { kind: "unchanged", key: rosterKey(name), revision: view.item?.revision ?? 0 },
    ],
    [{ kind: "put", key: rosterMetaKey, value: ledger }, ...operations],
  );
  return outcome.kind === "committed" ? (outcome.revision as RosterRevision) : null;
}
