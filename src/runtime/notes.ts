/** One log line per note: constant message, facts beside it (style: logs). */
import type { KeyIdentity } from "../core/key-id.js";
import type { Note } from "../core/rotation/effect.js";
import type { ControllerNote } from "../core/fleet/controller-state.js";
import type { Log } from "../ports/log.js";

export function logNote(log: Log, note: Note): void {
  switch (note.kind) {
    case "phase-changed":
      return log.write("info", "phase changed", { from: note.from, to: note.to, keyId: note.key?.keyId ?? null });
    case "new-incarnation":
      return log.write("info", "new incarnation", { incarnation: note.incarnationId, why: note.why });
    case "adopted":
      return log.write("info", "dataplane state adopted", { incarnation: note.incarnationId, sas: note.sas });
    case "waiting":
      return log.write("info", "waiting before load (jitter)", { ...keyFields(note.key), waitMs: note.waitMs });
    case "staged":
      return log.write("info", "staged", { ...keyFields(note.key), sas: note.sas, stagingMs: note.stagingMs });
    case "retired":
      return log.write(note.forced ? "error" : "info", note.forced ? "old key retired by force" : "old key retired", {
        ...keyFields(note.key),
        errors: note.errors,
      });
    case "refused":
      return log.write("warn", "key refused", { ...keyFields(note.key), why: note.why });
    case "purged":
      return log.write("info", "refused key deleted", keyFields(note.key));
    case "level-changed":
      return log.write("info", "level changed", { from: note.from, to: note.to });
    case "path-unproven":
      return log.write("warn", note.isPlain ? "probe failed, packets to the peer stay plain" : "probe failed, the peer stays on the old key", {
        peer: note.probe.peer,
        family: note.probe.family,
        ...keyFields(note.probe.key),
        code: note.failure.code,
        why: note.failure.message,
      });
    case "path-proven":
      return log.write("info", "path proven", { peer: note.peer, ...keyFields(note.key) });
    case "node-departed":
      return log.write("info", "departed node removed", { peer: note.entry.name, index: note.entry.index });
    case "deletions-held":
      return log.write("error", "deletions held: the listing would remove too many nodes", {
        departed: note.departed,
        known: note.known,
      });
  }
}

export function logControllerNote(log: Log, note: ControllerNote): void {
  switch (note.kind) {
    case "fleet-phase":
      return log.write("info", "fleet phase changed", {
        rotation: note.rotation,
        phase: note.phase,
        keyId: note.target?.keyId ?? null,
      });
    case "fleet-level":
      return log.write("info", "fleet level changed", { level: note.level, wanted: note.wanted, applied: note.isApplied });
    case "rotation-awaited":
      return log.write("info", "rotation waits for its key", { by: note.by, why: note.reason });
    case "key-written":
      return log.write("info", "next key written", { keyId: note.keyId });
    case "excluded":
      return log.write("warn", "node excluded", { peer: note.node });
    case "included":
      return log.write("info", "node counts again", { peer: note.node });
    case "condition":
      return log.write("warn", "condition", { code: note.condition.code, why: note.condition.message });
    case "answered":
      return log.write("info", "request answered", {
        request: note.requestId,
        accepted: note.accepted,
        why: note.why,
      });
  }
}

function keyFields(key: KeyIdentity): { keyId: number; check: string } {
  return { keyId: key.keyId, check: key.check };
}
