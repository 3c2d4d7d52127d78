/** Moves as sentences, for a run that a person reads. Says what became of the fleet where a move changed it. */
import type { Model, State } from "./model.js";
import type { Move } from "./moves.js";
import { settledFleet } from "./start.js";
import { afterMove } from "./transitions.js";

/** One numbered line for each move. */
export function describeRun(model: Model, moves: readonly Move[]): readonly string[] {
  let state = settledFleet(model);
  return moves.map((move, index) => {
    const after = afterMove(model, state, move);
    const line = `${index + 1}. ${wordsOf(move)}${changeOf(model, state, after, move)}`;
    state = after;
    return line;
  });
}

function wordsOf(move: Move): string {
  switch (move.kind) {
    case "read":
      return `${move.who} reads ${move.events === 1 ? "one event" : `${move.events} events`} of ${streamWords[move.stream]}`;
    case "read-all":
      return `${move.who} reads all that waits for it`;
    case "notice-reboot":
      return `${move.who} notices that its dataplane began a new life`;
    case "apply":
      return `${move.who}'s kernel carries out its plan`;
    case "publish":
      return `${move.who}'s report reaches the registry`;
    case "read-file":
      return `${move.who}'s key file has keys ${move.keyIds.join(" and ")}`;
    case "start":
      return `${move.who} starts`;
    case "hear":
      return `${move.who} hears of ${move.node} again`;
    case "miss":
      return `${move.who} has not heard of ${move.node} for too long`;
    case "crash":
      return `${move.who} crashes${move.stages === 0 ? "" : ` after ${move.stages} stages of its plan`}`;
    case "reboot-host":
      return `${move.who}'s host reboots: its kernel loses all state`;
    case "reboot-dataplane":
      return `${move.who}'s dataplane restarts: its state is lost, its agent runs on`;
    case "lose-events":
      return `${move.who}'s watch of ${streamWords[move.stream]} has a gap and lists again`;
    case "lose-report":
      return `${move.who}'s report does not reach the registry`;
    case "join":
      return `${move.who} starts for the first time`;
    case "offer-key":
      return `the operator makes a key file with keys ${move.keyIds.join(" and ")}`;
    case "abort":
      return `the operator asks to abort key ${move.keyId}`;
    case "ask-level":
      return `the operator asks for level ${move.level}`;
  }
}

const streamWords = { roster: "the roster", reports: "the reports", fleet: "the fleet record", request: "the requests" };

function changeOf(model: Model, before: State, after: State, move: Move): string {
  const found = [...recordChange(model, before, after), ...reportChange(model, before, after, move)];
  for (let position = 0; position < model.names.length; position += 1) {
    if (before[position] !== after[position]) found.push(...nodeChange(model, before, after, position));
  }
  return found.length === 0 ? "" : `: ${found.join("; ")}`;
}

function recordChange(model: Model, before: State, after: State): readonly string[] {
  const [old, now] = [model.registryIn(before).fleet, model.registryIn(after).fleet];
  if (old.version === now.version || now.value === null) return [];
  const { phase, target, current, through, excluded, levels } = now.value;
  const keys = `key ${current?.keyId ?? "none"}${target === null ? "" : ` to ${target.keyId}`}`;
  const marks = through.map(({ key, revision }) => `${key.keyId} through revision ${revision}`).join(", ");
  const without = excluded.length === 0 ? "" : `, without ${excluded.map(({ name }) => name).join(" and ")}`;
  const level = levels === undefined ? "" : `, level ${levels.level ?? "unknown"} to ${levels.wanted}${levels.applied ? ", applied" : ""}`;
  return [`the record says ${phase}, ${keys}, ${marks}${without}${level}`];
}

function reportChange(model: Model, before: State, after: State, move: Move): readonly string[] {
  if (move.kind !== "publish") return [];
  const report = model.registryIn(after).reports.get(move.who);
  if (report === undefined || report === model.registryIn(before).reports.get(move.who)) return [];
  const refused = report.refused.length === 0 ? "" : `, refuses ${idsOf(report.refused)}`;
  const level = report.level === undefined ? "" : `, is at ${report.level.applied}`;
  return [`holds ${idsOf(report.holds)} through revision ${report.through}, sends ${sendsWords(report)}${refused}${level}`];
}

function sendsWords({ sendingOldest, sendingNewest }: { sendingOldest: number | null; sendingNewest: number | null }): string {
  if (sendingOldest === null) return "nothing";
  return sendingOldest === sendingNewest ? `key ${sendingOldest}` : `keys ${sendingOldest} to ${sendingNewest ?? "none"}`;
}

function idsOf(keys: readonly { readonly keyId: number }[]): string {
  return keys.length === 0 ? "no key" : keys.map(({ keyId }) => keyId).join(" and ");
}

function nodeChange(model: Model, before: State, after: State, position: number): readonly string[] {
  const [old, now] = [model.nodeIn(before, position), model.nodeIn(after, position)];
  const found: string[] = [];
  const [oldPhase, phase] = [old.machine?.state.phase, now.machine?.state.phase];
  if (phase !== undefined && oldPhase !== phase) found.push(`${now.name} is ${phase}`);
  const newId = now.disk.durable.incarnation?.id;
  if (newId !== undefined && newId !== old.disk.durable.incarnation?.id) found.push(`${now.name} lives as ${newId}`);
  const plan = now.machine?.underWay("apply") ?? null;
  if (plan !== null && plan !== old.machine?.underWay("apply")) {
    found.push(`${now.name} plans ${plan.stages.flat().map(operationWords).join(", ")}`);
  }
  return found;
}

type Plan = NonNullable<ReturnType<NonNullable<ReturnType<Model["nodeIn"]>["machine"]>["underWay"]>> & { kind: "apply" };
type PlannedOperation = Plan["stages"][number][number];

function operationWords(operation: PlannedOperation): string {
  switch (operation.kind) {
    case "install-sa":
      return `${operation.sa.direction}bound SA of key ${operation.sa.key.keyId}`;
    case "delete-sa":
      return `no ${operation.slot.direction}bound SA of key ${Math.floor(operation.slot.spi / 2 ** 24)}`;
    case "set-policy":
      return policyWords(operation.policy);
    case "delete-policy":
      return `no ${operation.policy.direction}bound policy`;
  }
}

function policyWords({ direction, peer, action }: Extract<PlannedOperation, { kind: "set-policy" }>["policy"]): string {
  if (action.kind === "protect") return `send to ${peer} with key ${Math.floor(action.spi / 2 ** 24)}`;
  if (action.kind === "block") return `block ${direction}bound ${peer}`;
  return action.kind === "pass" ? `send plain packets to ${peer}` : `accept from ${peer}`;
}
