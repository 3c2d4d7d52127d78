/** One run of a report: the verdict first, then the charts, then the figures in tables. */
import type { Violation } from "../../sim/checkers/checker.js";
import type { RotationFigures, SimulationResult } from "../../sim/run/simulation-result.js";
import { count, seconds } from "../lab/progress-lines.js";
import type { NamedRun } from "../simulate/result-text.js";
import { html, join, raw, type Html } from "./html.js";

/** @param hasLossChart so that runs beside one another have the same charts at the same height */
export function runSection({ name, result }: NamedRun, index: number, hasLossChart: boolean): Html {
  return html`<section class="run">
<h2>${name ?? `${result.coordination}, ${result.order}`}</h2>
${verdict(result)}
${violationList(result.violations)}
<h3>Packets lost per second</h3>
<p class="note">${lossSummary(result)}</p>
${hasLossChart ? chart("losses", index, lossSummary(result)) : raw("")}
<h3>Nodes by phase</h3>
${chart("phases", index, `How many of ${count(result.nodes)} nodes were in each phase, over time.`)}
<h3>Registry events per second</h3>
<p class="note">${registrySummary(result)}</p>
${chart("registry", index, registrySummary(result))}
<h3>Staging time by node</h3>
<p class="note">${stagingSummary(result)}</p>
${result.staging.length === 0 ? raw("") : chart("staging", index, stagingSummary(result))}
<h3>Rotations</h3>
<div class="scroll">${rotationTable(result)}</div>
<h3>Again</h3>
<code>${result.replay}</code>
</section>`;
}

function verdict(result: SimulationResult): Html {
  const { packets, complete, ok } = result;
  const lost = packets.lost === 0 ? "0 packets lost" : `${count(packets.lost)} of ${count(packets.sent)} packets lost`;
  const tone = ok && packets.lost === 0 ? "good" : "bad";
  return html`<p class="verdict ${tone}">${lost}</p>
<p class="note">${count(packets.sent)} sent, ${count(packets.received)} received.
${complete ? "" : "The run was interrupted: this is what was found until then."}</p>`;
}

function lossSummary({ packets }: SimulationResult): string {
  if (packets.lost === 0) return `None of ${count(packets.sent)}.`;
  return Object.entries(packets.lostByReason)
    .map(([reason, lost]) => `${count(lost)} ${reason}`)
    .join(", ");
}

function violationList(violations: readonly Violation[]): Html {
  if (violations.length === 0) return html`<p class="good">Every invariant held.</p>`;
  const items = violations.map(
    ({ invariant, message, cause }) => html`<li><strong class="bad">${invariant}</strong> ${message}${cause === null ? "" : html`<br><span class="soft">because ${cause}</span>`}</li>`,
  );
  return html`<ul>${join(items)}</ul>`;
}

/** @param summary what the chart shows, for those who do not see it */
function chart(kind: string, index: number, summary: string): Html {
  return html`<div role="img" aria-label="${summary}" data-chart="${kind}" data-run="${index}"></div>`;
}

function registrySummary({ registry, nodes }: SimulationResult): string {
  const { writes, watchEvents, peakEventsPerSecond } = registry;
  return `${count(watchEvents)} events, at most ${count(peakEventsPerSecond)} in one second; ${count(writes)} writes, ${(writes / nodes).toFixed(1)} per node.`;
}

function stagingSummary({ staging }: SimulationResult): string {
  const [slowest] = staging;
  const middle = staging[staging.length >> 1];
  if (slowest === undefined || middle === undefined) return "No node staged a key.";
  const of = `${count(slowest.sas)} inbound SAs`;
  const half = middle.stagingMs < 100 ? `${Math.ceil(middle.stagingMs)} ms` : seconds(middle.stagingMs);
  return `Slowest: ${slowest.node}, ${seconds(slowest.stagingMs)} for ${of}. Half of the nodes took at most ${half}.`;
}

function rotationTable({ rotations }: SimulationResult): Html {
  const cells = (values: readonly string[]): Html => join(values.map((value) => html`<td>${value}</td>`));
  const rows = rotations.map((rotation) => html`<tr>${cells(cellsOf(rotation))}</tr>`);
  return html`<table><thead><tr><th>key</th><th>staged</th><th>switched</th><th>retired</th><th>done</th><th>forced</th></tr></thead>
<tbody>${join(rows)}</tbody></table>`;
}

function cellsOf({ keyId, stagedMs, switchedMs, retiredMs, durationMs, forcedRetires }: RotationFigures): readonly string[] {
  const times = [stagedMs, switchedMs, retiredMs, durationMs].map((ms) => (ms === null ? "–" : seconds(ms)));
  return [`${keyId}`, ...times, `${forcedRetires}`];
}
