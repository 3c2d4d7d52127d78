/** The SAs of one node with its peers, as people read them. */
import type { Terminal } from "../../adapters/system/terminal.js";
import { limits } from "../../core/limits.js";
import type { SaDetail, SaListing } from "../../http/status.js";
import { formatDuration } from "../duration.js";
import { formatTable, type Column } from "../output.js";

const columns: readonly Column<SaDetail>[] = [
  { header: "PEER", cell: ({ peer }) => peer },
  { header: "WAY", cell: ({ direction }) => direction },
  { header: "KEY", cell: ({ keyId }) => `${keyId}`, align: "right" },
  { header: "SPI", cell: ({ spi }) => spi },
  { header: "REMOTE", cell: ({ remote }) => remote, wide: true },
  { header: "PACKETS", cell: ({ packets }) => `${packets}`, align: "right" },
  { header: "BYTES", cell: ({ bytes }) => `${bytes ?? "-"}`, align: "right" },
  { header: "LAST USED", cell: lastUsed, align: "right" },
  { header: "SEQUENCE", cell: ({ sequence }) => `${sequence}`, align: "right" },
  { header: "NUMBERS USED", cell: numbersUsed, align: "right" },
];

export function formatSas({ node, dumpedForMs, sas }: SaListing, stdout: Terminal, wide: boolean): string {
  const from = dumpedForMs === null ? "not read yet" : `read ${formatDuration(dumpedForMs)} ago`;
  if (sas.length === 0) return `${node} has no SA with them (${from})`;
  return `${formatTable(columns, sas, stdout, wide)}\n\nSAs of ${node}, ${from}`;
}

function lastUsed({ idleMs, packets }: SaDetail): string {
  if (idleMs !== null) return `${formatDuration(idleMs)} ago`;
  return packets === 0 ? "never" : "unknown";
}

function numbersUsed({ sequenceShare, esn }: SaDetail, { red }: { readonly red: (text: string) => string }): string {
  if (sequenceShare === null) return "-";
  const of = `${Math.floor(100 * sequenceShare)} % of 2^${esn === true ? 64 : 32}`;
  return sequenceShare >= limits.sequenceShareWarned ? red(of) : of;
}
