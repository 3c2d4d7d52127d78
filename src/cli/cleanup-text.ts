/** What `spindle cleanup` shows of the SAs and policies that it found. */
import type { Terminal } from "../adapters/system/terminal.js";
import type { ListedPolicy, Prefix } from "../adapters/netlink/codec/model.js";
import type { Holder } from "../adapters/netlink/decapsulation.js";
import type { Owned, OwnedSa } from "../adapters/netlink/owned.js";
import { formatSpi, type Spi } from "../core/spi.js";
import { formatTable, type Column } from "./output.js";

export interface SaRow {
  readonly source: string;
  readonly destination: string;
  readonly spi: string;
  readonly mode: string;
  readonly packets: number;
  /** Highest sequence number sent or received. */
  readonly sequence: number;
  /** Wall clock, ISO 8601; null when no packet has used it, and where a kernel before 6.2 does not say when the last did. */
  readonly lastUsedAt: string | null;
}

export interface PolicyRow {
  readonly direction: string;
  readonly source: string;
  readonly destination: string;
  readonly action: "protect" | "accept" | "block" | "pass";
  readonly priority: number;
}

/** JSON of `spindle cleanup`. */
export interface CleanupResult {
  readonly schemaVersion: 1;
  readonly dryRun: boolean;
  readonly reqid: number;
  readonly sas: readonly SaRow[];
  readonly policies: readonly PolicyRow[];
  /** Networks of peers that routes of ours lead to. */
  readonly routes: readonly string[];
  /** Processes that keep the UDP socket of encapsulated ESP open. */
  readonly holders: readonly Holder[];
  /** What was there again soon after the removal; null when nothing was removed. */
  readonly left: Readonly<Record<"sas" | "policies" | "routes" | "holders", number>> | null;
  readonly ok: boolean;
}

export function viewOwned({ sas, policies }: Owned): Pick<CleanupResult, "sas" | "policies"> {
  return { sas: sas.map(viewSa), policies: policies.map(viewPolicy) };
}

function viewSa({ source, destination, spi, mode, packets, lastUsedAt, ...rest }: OwnedSa): SaRow {
  return {
    source,
    destination,
    spi: formatSpi(spi as Spi),
    mode: mode ?? "other",
    packets,
    sequence: Math.max(rest.sentSequence, rest.receivedSequence),
    lastUsedAt: lastUsedAt === null ? null : new Date(lastUsedAt * 1_000).toISOString(),
  };
}

function viewPolicy(policy: ListedPolicy): PolicyRow {
  const { direction, selector, priority } = policy;
  const [source, destination] = [selector.source, selector.destination].map(formatPrefix);
  return {
    direction,
    source: source!,
    destination: destination!,
    action: actionOf(policy),
    priority,
  };
}

function formatPrefix({ address, length }: Prefix): string {
  return `${address}/${length}`;
}

function actionOf({ verdict, templates }: ListedPolicy): PolicyRow["action"] {
  if (verdict === "block") return "block";
  if (templates.length === 0) return "pass";
  return templates.some(({ spi }) => spi !== null) ? "protect" : "accept";
}

const saColumns: readonly Column<SaRow>[] = [
  { header: "SA", cell: ({ spi }) => spi },
  { header: "SOURCE", cell: ({ source }) => source },
  { header: "DESTINATION", cell: ({ destination }) => destination },
  { header: "MODE", cell: ({ mode }) => mode },
  { header: "PACKETS", cell: ({ packets }) => String(packets), align: "right" },
  { header: "SEQUENCE", cell: ({ sequence }) => String(sequence), align: "right", wide: true },
  { header: "LAST USED", cell: ({ lastUsedAt, packets }) => lastUsedAt ?? (packets === 0 ? "never" : "unknown"), wide: true },
];

const policyColumns: readonly Column<PolicyRow>[] = [
  { header: "POLICY", cell: ({ direction }) => direction },
  { header: "SOURCE", cell: ({ source }) => source },
  { header: "DESTINATION", cell: ({ destination }) => destination },
  { header: "ACTION", cell: ({ action }) => action },
  { header: "PRIORITY", cell: ({ priority }) => String(priority), align: "right", wide: true },
];

export function cleanupText(result: CleanupResult, stdout: Terminal, wide: boolean): string {
  const { sas, policies, routes, holders } = result;
  if (sas.length + policies.length + routes.length + holders.length === 0)
    return "nothing of Spindle's is in the kernel of this network namespace";
  const parts = [summaryOf(result)];
  if (sas.length > 0) parts.push("", formatTable(saColumns, sas, stdout, wide));
  if (policies.length > 0) parts.push("", formatTable(policyColumns, policies, stdout, wide));
  if (routes.length > 0) parts.push("", `routes to peers' networks: ${routes.join(", ")}`);
  for (const { pid, places } of holders) parts.push("", `process ${pid} holds UDP ${places} for encapsulated ESP`);
  return parts.join("\n");
}

function summaryOf({ dryRun, sas, policies, routes, left, ok }: CleanupResult): string {
  const ways = routes.length === 0 ? "" : `, ${counted(routes.length, "route")}`;
  const found = `${counted(sas.length, "SA")}${ways} and ${counted(policies.length, "policy")}`;
  if (dryRun) return `would remove ${found}`;
  if (ok || left === null) return `removed ${found}`;
  const sockets = left.holders === 0 ? "" : " and the UDP socket of encapsulated ESP";
  const back = `${counted(left.sas, "SA")} and ${counted(left.policies, "policy")}${sockets}`;
  return `removed ${found}, but ${back} came back: stop the agent of this node first`;
}

function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${noun.endsWith("y") ? `${noun.slice(0, -1)}ies` : `${noun}s`}`;
}
