/** How a lab stands now, in one or two lines, and what a rotation was, in one. */
import type { FinishedRotation, Lab } from "../../lab/lab.js";
import type { RotationWatch } from "../../lab/rotation.js";

export function describeProgress(lab: Lab, title: string, nowMs: number): readonly string[] {
  const { rotation } = lab;
  const { attempted, missing } = lab.ledger.totals(nowMs);
  const packets = `sent ${count(attempted)}  lost ${count(missing)}`;
  if (rotation === null) {
    const { open, all } = lab.openPairs;
    return [`${title}starting: ${open} of ${all} pairs can send  ${packets}`];
  }
  const number = `rotation ${rotationNumber(lab)} of ${lab.options.rotations}`;
  const time = elapsedOf(rotation, nowMs);
  return [
    `${title}${number} to key ${rotation.keyId}  ${time}  ${stepsOf(rotation)}  ${packets}`,
    `  ${phasesOf(lab)}`,
  ];
}

export function describeFinished(lab: Lab, finished: FinishedRotation, nowMs: number): string {
  const { watch, stuck } = finished;
  const { missing } = lab.ledger.totals(nowMs);
  if (stuck !== null) return stuck;
  const steps = (["stagedMs", "switchedMs", "retiredMs"] as const)
    .map((step) => `${step.slice(0, -2)} ${seconds(watch.lastMs(step) ?? 0)}`)
    .join("  ");
  return `key ${watch.keyId} is in use  ${steps}  lost so far ${count(missing)}`;
}

function rotationNumber(lab: Lab): number {
  const { rotation, rotations } = lab;
  const index = rotations.findIndex(({ watch }) => watch === rotation);
  return index < 0 ? rotations.length + 1 : index + 1;
}

function elapsedOf(rotation: RotationWatch, nowMs: number): string {
  const { durationMs } = rotation;
  return durationMs === null ? `+${seconds(nowMs - rotation.startedMs)}` : "done";
}

function stepsOf(rotation: RotationWatch): string {
  const all = rotation.nodes.length;
  return (["stagedMs", "switchedMs", "retiredMs"] as const)
    .map((step) => `${step.slice(0, -2)} ${rotation.count(step)}/${all}`)
    .join("  ");
}

/** `staging 1, staged 4`: nodes by phase. */
function phasesOf(lab: Lab): string {
  const counts = new Map<string, number>();
  for (const phase of lab.view.phases) counts.set(phase, (counts.get(phase) ?? 0) + 1);
  return `nodes: ${[...counts].map(([phase, nodes]) => `${phase} ${nodes}`).join(", ")}`;
}

export function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(2)} s`;
}

export function count(value: number): string {
  return value.toLocaleString("en-US");
}
