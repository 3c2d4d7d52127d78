/** `spindle gateway status`: every gateway of every link, with the reason why one is not ready. */
import { sides, type Side } from "../../core/gateway/link.js";
import { linkStanding, readinessRules, type GatewayStanding, type LinkReports } from "../../core/gateway/readiness.js";
import type { LinkRecord, Rotation } from "../../core/gateway/record.js";
import { reportName } from "../../core/gateway/report.js";
import type { Terminal } from "../../adapters/system/terminal.js";
import { findConfig, loadGatewayTarget } from "../config/load.js";
import { formatDuration } from "../duration.js";
import { formatOf, formatTable, printResult, type Column, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import { withGateways, type GatewayWatch } from "./gateway-watch.js";

export async function showGatewayStatus(flags: { readonly config?: string } & OutputOptions, shell: Shell): Promise<void> {
  const target = await loadGatewayTarget(findConfig(flags.config, shell.env));
  await withGateways(target, async (watch) => {
    const status = gatewayStatus(watch, Date.now());
    await printResult(shell.stdout, formatOf(flags), status, (wide) => formatGatewayStatus(status, shell.stdout, wide));
    if (!status.ok) shell.exitWith(1);
  });
}

export interface GatewayStatus {
  readonly schemaVersion: 1;
  readonly links: readonly LinkStatus[];
  /** There are links, each has a generation in use in every pair, all of these are ready, and no rotation is held up. */
  readonly ok: boolean;
}

export interface LinkStatus {
  readonly link: string;
  readonly server: string;
  readonly client: string;
  readonly detached: boolean;
  readonly rotation: Rotation | null;
  readonly gateways: readonly GatewayLine[];
  readonly route: { readonly server: string; readonly client: string };
  /** Sites that the hub no longer hears, and for how long. */
  readonly silent: readonly SilentSite[];
  /** Of the first certificate in use that ends, null before there is one. */
  readonly validForMs: number | null;
  readonly ok: boolean;
}

export interface SilentSite {
  readonly site: string;
  readonly side: Side;
  readonly code: "GATEWAY_SITE_SILENT";
  readonly silentForMs: number;
}

export interface GatewayLine {
  readonly pair: number;
  readonly side: string;
  readonly site: string;
  readonly generation: number;
  readonly role: "old" | "new";
  /** Of the generation on its way, null for one in use. */
  readonly phase: string | null;
  /** `ready`, or a code of docs/reference/errors.md. */
  readonly state: string;
  readonly why: string;
}

export function gatewayStatus(watch: Pick<GatewayWatch, "links" | "reports">, wallMs: number): GatewayStatus {
  const reports = watch.reports();
  const links = [...watch.links.values()]
    .sort((one, other) => (one.link.name < other.link.name ? -1 : 1))
    .map((record) => {
      const { name, server, client } = record.link;
      const own = { server: reports.get(reportName(name, server)) ?? null, client: reports.get(reportName(name, client)) ?? null };
      return linkStatus(record, own, wallMs);
    });
  return { schemaVersion: 1, links, ok: links.length > 0 && links.every(({ ok }) => ok) };
}

function linkStatus(record: LinkRecord, reports: LinkReports, wallMs: number): LinkStatus {
  const { link, pairs, rotation, detached } = record;
  const gateways = linkStanding(record, reports).map((standing) => lineOf(record, standing));
  const ends = pairs.flatMap(({ current }) => (current === null ? [] : Object.values(current.certificates)));
  const isHeldUp = rotation?.outcome === "rolled-back" || rotation?.outcome === "failed";
  const isWhole = pairs.length > 0 && pairs.every(({ current }) => current !== null);
  const silent = silentSites(record, wallMs);
  // One that is on its way is not relied upon yet.
  const areReady = gateways.every(({ phase, state }) => phase !== null || state === "ready");
  return {
    link: link.name,
    server: link.server,
    client: link.client,
    detached,
    rotation,
    gateways,
    route: { server: reports.server?.report.route.kind ?? "unknown", client: reports.client?.report.route.kind ?? "unknown" },
    silent,
    validForMs: ends.length === 0 ? null : Math.min(...ends.map(({ notAfterWallMs }) => notAfterWallMs)) - wallMs,
    ok: isWhole && areReady && !isHeldUp && !detached && silent.length === 0,
  };
}

function silentSites({ link, silentSinceWallMs }: LinkRecord, wallMs: number): readonly SilentSite[] {
  return sides.flatMap((side) => {
    const since = silentSinceWallMs[side];
    return since === null ? [] : [{ site: link[side], side, code: "GATEWAY_SITE_SILENT", silentForMs: Math.max(0, wallMs - since) }];
  });
}

function lineOf({ link, pairs }: LinkRecord, { pair, side, number, role, readiness }: GatewayStanding): GatewayLine {
  const next = pairs.find(({ index }) => index === pair)?.next ?? null;
  const code = readiness.kind === "ready" ? null : readiness.code;
  return {
    pair,
    side,
    site: link[side],
    generation: number,
    role,
    phase: next?.number === number ? next.phase : null,
    state: code ?? "ready",
    why: code === null ? "" : readinessRules[code].message,
  };
}

const columns: readonly Column<GatewayLine & { readonly link: string }>[] = [
  { header: "LINK", cell: ({ link }) => link },
  { header: "PAIR", cell: ({ pair }) => String(pair), align: "right" },
  { header: "SITE", cell: ({ site, side }) => `${site} (${side})` },
  { header: "GENERATION", cell: ({ generation }) => String(generation), align: "right" },
  { header: "PHASE", cell: ({ phase }) => phase ?? "in use" },
  { header: "STATE", cell: ({ state }, colors) => (state === "ready" ? colors.green(state) : colors.red(state)) },
  { header: "WHY", cell: ({ why }) => why, wide: true },
];

export function formatGatewayStatus({ links }: GatewayStatus, stdout: Terminal, wide: boolean): string {
  if (links.length === 0) return "no links: a hub writes those of its configuration";
  const rows = links.flatMap(({ link, gateways }) => gateways.map((line) => ({ ...line, link })));
  const table = rows.length === 0 ? [] : [formatTable(columns, rows, stdout, wide), ""];
  return [...table, ...links.map(sentenceOf)].join("\n");
}

function sentenceOf({ link, server, client, rotation, validForMs, detached, silent }: LinkStatus): string {
  const validity = validForMs === null ? "no certificate yet" : `certificates valid for ${formatDuration(Math.max(0, validForMs))}`;
  const state = detached ? "no longer wanted" : describeRotation(rotation);
  const told = silent.map(({ site, code, silentForMs }) => `; ${code}: site ${site} was not heard for ${formatDuration(silentForMs)}`);
  return `link ${link} (${server} to ${client}): ${state}; ${validity}${told.join("")}`;
}

export function describeRotation(rotation: Rotation | null): string {
  if (rotation === null) return "never rotated";
  const { outcome, done, planned, cause, reason } = rotation;
  const count = `${done.length} of ${planned.length} pairs`;
  const why = cause === null ? "" : `: ${cause.code}, ${cause.message}`;
  return outcome === "done" ? `rotated ${count} (${reason})` : `rotation ${outcome}, ${count} done (${reason})${why}`;
}
