/** What may still happen in a run, and the key files that the operator has made. */
import type { PolicyLevel } from "../core/policy-level.js";
import { keyOf, type Budget, type Scope } from "./scope.js";
import type { Registry } from "./registry.js";

export interface Ledger extends Budget {
  /** Every key file, the oldest first, as key ids. */
  readonly files: readonly (readonly number[])[];
  readonly aborted: readonly number[];
}

export function newLedger(scope: Scope): Ledger {
  const { crashes, reboots, rotations, aborts, joins, losses, silences, levels } = scope;
  return { crashes, reboots, rotations, aborts, joins, losses, silences, levels, files: [[1]], aborted: [] };
}

export function newestKeyId({ files }: Ledger): number {
  return files.at(-1)?.at(-1) ?? 1;
}

/**
 * A file has two keys. Where agents may restart, the operator waits with a newer one until the last is in use or was
 * abandoned: an agent that restarts in between could not derive it any more.
 */
export function mayOfferKey(scope: Scope, { fleet, reports }: Registry): boolean {
  if (scope.crashes + scope.reboots === 0) return true;
  if (scope.coordination === "barrier") return fleet.value === null || fleet.value.target === null;
  return [...reports.values()].every(({ holds }) => holds.length === 1);
}

/** As `spindle keyfile next` writes it: the key that the fleet uses now, and a new one. */
export function nextFile(ledger: Ledger, { fleet, reports }: Registry): readonly number[] {
  const used = [...reports.values()].flatMap(({ sendingOldest }) => sendingOldest ?? []);
  const current = fleet.value?.current?.keyId ?? Math.min(newestKeyId(ledger), ...used);
  return [current, newestKeyId(ledger) + 1];
}

export function fileOf(ledger: Ledger, generation: number): { generation: number; keys: ReturnType<typeof keyOf>[] } {
  return { generation, keys: (ledger.files[generation] ?? []).map(keyOf) };
}

/** What the operator asks for next. */
export function nextAsk(scope: Scope, { levels }: Ledger): PolicyLevel {
  return levels === scope.levels ? "require" : "off";
}

export function spent(ledger: Ledger, what: keyof Budget): Ledger {
  return { ...ledger, [what]: ledger[what] - 1 };
}
