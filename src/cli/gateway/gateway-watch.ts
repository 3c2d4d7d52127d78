/** The VPN links as an operator's command sees them: records and reports, kept current while it runs. */
import { connectGatewayRegistry, formatTarget, hintForTarget, probeRegistry, type RegistryTarget } from "../../adapters/registry/connect.js";
import { systemClock } from "../../adapters/system/clock.js";
import type { LinkName } from "../../core/gateway/link.js";
import type { ReceivedReport } from "../../core/gateway/readiness.js";
import type { LinkRecord, LinkRequest } from "../../core/gateway/record.js";
import { reportName, type SiteReport } from "../../core/gateway/report.js";
import type { Stop } from "../../ports/failure.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { WatchEvent } from "../../ports/registry.js";
import { PortError } from "../../adapters/port-error.js";
import { CliError } from "../exit.js";
import { waitUntil } from "../operator/wait.js";

const answerWithinMs = 3_000;

export class GatewayWatch {
  readonly links = new Map<LinkName, LinkRecord>();
  /** The last order of each link. */
  readonly requests = new Map<LinkName, LinkRequest>();
  readonly #registry: GatewayRegistryPort;
  readonly #reports = new Map<string, { readonly report: SiteReport; readonly seenMs: number }>();
  readonly #listeners = new Set<() => void>();
  #listed = { links: false, reports: false, requests: false };
  #away: string | null = null;

  constructor(registry: GatewayRegistryPort) {
    this.#registry = registry;
    registry.watchLinks(null, (event) => {
      follow(event, this.links, ({ record }) => record.link.name, ({ record }) => record);
      this.#see("links", event);
    });
    registry.watchSiteReports((event) => {
      const seenMs = systemClock.nowMs();
      follow(event, this.#reports, (report) => reportName(report.link, report.site), (report) => ({ report, seenMs }));
      this.#see("reports", event);
    });
    registry.watchLinkRequests((event) => {
      follow(event, this.requests, ({ link }) => link, (request) => request);
      this.#see("requests", event);
    });
  }

  get isWhole(): boolean {
    return this.#listed.links && this.#listed.reports && this.#listed.requests;
  }

  /** Why the registry is not reached, null when it is. */
  get away(): string | null {
    return this.#away;
  }

  /** The age counts from when this command first saw the report as it is. */
  reports(): ReadonlyMap<string, ReceivedReport> {
    const nowMs = systemClock.nowMs();
    return new Map([...this.#reports].map(([name, { report, seenMs }]) => [name, { report, ageMs: nowMs - seenMs }]));
  }

  put(request: LinkRequest): Promise<void> {
    return new Promise((done, failed) => {
      this.#registry.putLinkRequest(request, (result) => {
        if (result.ok) return done();
        const { code, message, retryable } = result.error;
        failed(new PortError(code, message, retryable));
      });
    });
  }

  onChange(listener: () => void): Stop {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  close(): void {
    this.#registry.close();
  }

  #see(what: "links" | "reports" | "requests", event: WatchEvent<unknown>): void {
    if (event.kind === "listing") this.#listed = { ...this.#listed, [what]: true };
    this.#away = event.kind === "disconnected" ? event.reason : null;
    for (const listener of [...this.#listeners]) listener();
  }
}

function follow<T, V>(event: WatchEvent<T>, into: Map<string, V>, nameOf: (item: T) => string, valueOf: (item: T) => V): void {
  if (event.kind === "put") into.set(nameOf(event.item), valueOf(event.item));
  if (event.kind === "removed") into.delete(event.name);
  if (event.kind !== "listing") return;
  into.clear();
  for (const item of event.items) into.set(nameOf(item), valueOf(item));
}

/**
 * Runs `use` on the links that the registry holds, and closes the connection after it.
 * @throws CliError REGISTRY_UNREACHABLE
 */
export async function withGateways<T>(target: RegistryTarget, use: (watch: GatewayWatch) => Promise<T>): Promise<T> {
  const watch = new GatewayWatch(await connectGatewayRegistry(target));
  try {
    const opened = await waitUntil(watch, () => (watch.isWhole ? true : null), { timeoutMs: answerWithinMs });
    if (opened.kind !== "reached") throw await unreachable(target, watch);
    return await use(watch);
  } finally {
    watch.close();
  }
}

async function unreachable(target: RegistryTarget, watch: GatewayWatch): Promise<CliError> {
  const fault = await probeRegistry(target, answerWithinMs);
  const reason = fault ?? watch.away ?? "it takes connections and answers nothing";
  return new CliError({
    exitCode: 1,
    code: "REGISTRY_UNREACHABLE",
    message: `the registry at ${formatTarget(target)} did not answer within ${answerWithinMs / 1_000} s: ${reason}`,
    hint: hintForTarget(target),
  });
}
