/** The result of a lab of gateways. Its JSON is a contract (docs/reference/lab.md). */
import type { LabOptions } from "../options.js";
import type { TrafficFigures } from "./traffic-watch.js";

export interface GatewayLabOptions {
  readonly gateways: number;
  readonly rotations: number;
  readonly behaviour: "spindle" | "trigger-first";
  /** Where hub and sites meet; the lab starts what it needs. */
  readonly registry: LabOptions["registry"];
  /** Leave the directory with configurations and logs. */
  readonly keep: boolean;
}

export interface GatewayRotationResult {
  readonly number: number;
  readonly outcome: string;
  readonly durationMs: number;
  readonly traffic: TrafficFigures;
  /** Packets that the machine dropped, as their program waited for a processor: lost pings may be of these. */
  readonly socketDrops: number;
  /** Lines logged above `info`, by their text. */
  readonly errors: Readonly<Record<string, number>>;
  readonly errorCount: number;
}

export interface GatewayLabReport {
  readonly schemaVersion: 1;
  readonly kind: "gateways";
  readonly options: GatewayLabOptions;
  readonly openvpn: string;
  /** From the first program to a link that carries traffic through every pair. */
  readonly startMs: number;
  readonly rotations: readonly GatewayRotationResult[];
  /** From the first ping to the last. */
  readonly traffic: TrafficFigures;
  /** What keeps the run from proving anything; empty when it does. */
  readonly problems: readonly string[];
  /** Every rotation was done, nothing was lost, nothing was logged above `info`, and the run proves it. */
  readonly ok: boolean;
}

export function makeGatewayReport(parts: Omit<GatewayLabReport, "schemaVersion" | "kind" | "ok" | "problems">): GatewayLabReport {
  const { rotations, traffic, options } = parts;
  const problems = problemsOf(parts);
  const areDone = rotations.every(({ outcome, errorCount }) => outcome === "done" && errorCount === 0);
  const isWhole = rotations.length === options.rotations && rotations.length > 0;
  const ok = problems.length === 0 && isWhole && areDone && traffic.lost === 0 && traffic.streamFailures.length === 0;
  return { schemaVersion: 1, kind: "gateways", ...parts, problems, ok };
}

/** Traffic that did not run proves nothing. */
function problemsOf({ traffic, rotations }: Pick<GatewayLabReport, "traffic" | "rotations">): readonly string[] {
  const problems: string[] = [];
  if (traffic.sent === 0 || traffic.answered === 0) problems.push("no traffic went through the link");
  if (traffic.streamBytes === 0) problems.push("no byte of the stream arrived");
  for (const { number, traffic: during } of rotations) {
    if (during.sent === 0) problems.push(`nothing was sent during rotation ${number}`);
  }
  return problems;
}
