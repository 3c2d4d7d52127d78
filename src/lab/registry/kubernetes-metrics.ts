/** What an API server's metrics say of our objects: writes that it took, and events that it sent. */
import type { RegistryCounts } from "../fleet/registry-load.js";

const writingVerbs = new Set(["POST", "PUT", "PATCH", "DELETE"]);

/** As the embedded registry calls them. The roster's ledger is a part of it. */
const classes: Readonly<Record<string, string>> = {
  spindlenodes: "roster",
  configmaps: "roster",
  spindlereports: "reports",
  spindlefleets: "fleet",
  spindlerotations: "rotations",
};

/** @param text in Prometheus text format */
export function countsOf(text: string): RegistryCounts {
  const writesByClass: Record<string, number> = {};
  let leaseRenewals = 0;
  let watchEvents = 0;
  for (const { name, labels, value } of samplesOf(text)) {
    if (name === "apiserver_watch_events_total" && labels["group"] === "spindle.dev") {
      watchEvents += value;
    }
    if (name !== "apiserver_request_total" || !isWrite(labels)) continue;
    const kind = classes[labels["resource"] ?? ""];
    if (labels["resource"] === "leases") leaseRenewals += value;
    else if (kind !== undefined) writesByClass[kind] = (writesByClass[kind] ?? 0) + value;
  }
  const writes = Object.values(writesByClass).reduce((sum, count) => sum + count, 0);
  return { writes, writesByClass, leaseRenewals, watchEvents };
}

/**
 * Bytes of our objects that the API server sent, before TLS and compression: in watches, and in answers.
 * @param text in Prometheus text format
 */
export function sentBytesOf(text: string): number {
  const sums = ["apiserver_watch_events_sizes_sum", "apiserver_response_sizes_sum"];
  const isOurs = ({ name, labels }: Sample): boolean => sums.includes(name) && labels["group"] === "spindle.dev";
  return [...samplesOf(text)].filter(isOurs).reduce((sum, { value }) => sum + value, 0);
}

/** One that was refused, as by a conflict, changed nothing. */
function isWrite(labels: Readonly<Record<string, string>>): boolean {
  return writingVerbs.has(labels["verb"] ?? "") && (labels["code"] ?? "").startsWith("2");
}

interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

function* samplesOf(text: string): Generator<Sample> {
  for (const [, name = "", labels = "", value] of text.matchAll(/^(\w+)\{([^}]*)\} (\S+)$/gm)) {
    const pairs = [...labels.matchAll(/(\w+)="([^"]*)"/g)];
    const named = Object.fromEntries(pairs.map(([, label, content]) => [label, content ?? ""]));
    yield { name, labels: named, value: Number(value) };
  }
}
