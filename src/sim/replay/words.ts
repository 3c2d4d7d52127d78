/**
 * Inputs, effects and turns in words, one short line each. They may come from a recording of another version: what is
 * not known is shown as its kind.
 */
import type { KeyIdentity } from "../../core/key-id.js";
import type { Effect } from "../../core/rotation/effect.js";
import type { ControllerEffect } from "../../core/fleet/controller-state.js";
import type { FleetRecord } from "../../core/fleet/record.js";
import type { Operation } from "../../core/sa.js";
import type { StepOutcome } from "../../runtime/recording.js";
import type { SingleEvent, WatchEvent } from "../../ports/registry.js";
import type { ReplayedInput, ReplayedTurn } from "./run.js";

type Input = ReplayedInput["input"];

/** `12031.250 ms  turn 301  roster put node-3 -> apply 4 operations for node-3; staging to staged` */
export function describeTurn({ atMs, turn, inputs, did, thrown }: ReplayedTurn): string {
  const causes = inputs.length === 0 ? "a timer" : inputs.map(({ input }) => describeInput(input)).join(", ");
  return `${atMs.toFixed(3)} ms  turn ${turn}  ${causes} -> ${did === null ? thrown ?? "" : describeOutcome(did)}`;
}

export function describeOutcome({ effects, notes, wakeAtMs }: StepOutcome): string {
  const parts = [...effects.map((effect) => describeEffect(effect)), ...notes.map((note) => describeNote(note))];
  if (parts.length > 0) return parts.join("; ");
  return wakeAtMs === null ? "nothing" : `nothing before ${wakeAtMs.toFixed(3)} ms`;
}

export function describeInput(input: Input): string {
  switch (input.kind) {
    case "roster":
      return `roster ${describeEvent(input.event, (entry) => entry.name)}`;
    case "reports":
      return `reports ${describeEvent(input.event, (report) => `${report.node} (holds ${keyIds(report.holds)})`)}`;
    case "fleet":
      return `fleet ${describeSingle(input.event, describeFleet)}`;
    case "request":
      return `request ${describeSingle(input.event, (request) => `to ${request.kind}`)}`;
    case "dataplane":
      return `dataplane ${input.change}`;
    case "keys":
      return input.keys === null ? "key file refused" : `key file offers ${keyIds(input.keys)}`;
    case "admitted":
      return `admitted as index ${input.entry.index}, revision ${input.entry.revision}`;
    case "applied": {
      const { sas, policies, failed } = input.outcome;
      return `applied: ${sas.length} SAs, ${policies.length} policies read back, ${failed.length} operations failed`;
    }
    case "dumped":
      return `dumped ${input.dump.sas.length} SAs, ${input.dump.policies.length} policies`;
    case "probed": {
      const answered = input.outcomes.filter(({ kind }) => kind === "answered").length;
      return `${answered} of ${input.outcomes.length} probes answered`;
    }
    case "failed":
      return `${input.effect} failed (${input.code})`;
    case "retry-due":
      return `${input.effect} may be tried again`;
    case "leading":
      return input.leads ? "leading" : "not leading";
    case "leases":
      return input.leases === null ? "leases unknown" : `${input.leases.length} leases`;
    case "audit":
      return `audit record ${input.newest === null ? "absent" : "read"}`;
    default:
      return input.kind;
  }
}

function describeEvent<T>(event: WatchEvent<T>, nameOf: (item: T) => string): string {
  switch (event.kind) {
    case "listing":
      return `listing of ${event.items.length} at ${event.revision}`;
    case "put":
      return `put ${nameOf(event.item)} at ${event.revision}`;
    case "removed":
      return `removed ${event.name} at ${event.revision}`;
    case "disconnected":
      return "disconnected";
  }
}

function describeSingle<T>(event: SingleEvent<T>, wordsOf: (value: T) => string): string {
  if (event.kind === "disconnected") return "disconnected";
  const { version, value } = event.object;
  return `${value === null ? "absent" : wordsOf(value)} at version ${version}`;
}

function describeFleet({ rotation, phase, target }: FleetRecord): string {
  return `rotation ${rotation} ${phase}${target === null ? "" : ` to key ${target.keyId}`}`;
}

function describeEffect(value: object): string {
  const effect = value as Effect | ControllerEffect;
  switch (effect.kind) {
    case "apply":
      return `apply ${effect.stages.map(describeStage).join(", then ")} for ${effect.peers.join(" ")}`;
    case "read-kernel":
      return `read the dataplane (${effect.why})`;
    case "publish-report": {
      const { holds, sendingOldest, sendingNewest, through } = effect.report;
      return `report holds ${keyIds(holds)}, sends ${sendingOldest ?? "-"} to ${sendingNewest ?? "-"}, through ${through}`;
    }
    case "probe":
      return `probe ${effect.probes.map(({ peer, key }) => `${peer} with key ${key.keyId}`).join(", ")}`;
    case "forget-key":
      return `forget key ${effect.key.keyId}`;
    case "write-fleet":
      return `write fleet ${describeFleet(effect.record)}`;
    default:
      return effect.kind;
  }
}

/** `install-sa 4 + set-policy 2` */
function describeStage(operations: readonly Operation[]): string {
  const counts = new Map<string, number>();
  for (const { kind } of operations) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  return [...counts].map(([kind, count]) => `${kind} ${count}`).join(" + ");
}

function describeNote(value: object): string {
  const { kind, from, to } = value as { readonly kind: string; readonly from?: string; readonly to?: string };
  return kind === "phase-changed" ? `phase ${from ?? ""} to ${to ?? ""}` : `note ${kind}`;
}

function keyIds(keys: readonly KeyIdentity[]): string {
  return keys.length === 0 ? "no key" : keys.map((key) => key.keyId).join("+");
}
