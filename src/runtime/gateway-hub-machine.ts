/**
 * What a hub is without its ports: what it knows, its state, and the step between them. The same inputs and turns give
 * the same effects, whoever feeds them.
 */
import type { Link, LinkName } from "../core/gateway/link.js";
import type { ReceivedReport } from "../core/gateway/readiness.js";
import type { Issued, LinkRequest, StoredLink } from "../core/gateway/record.js";
import { reportName, type SiteReport } from "../core/gateway/report.js";
import {
  effectId,
  issueEffectId,
  newHub,
  recordEffectId,
  type HubEffect,
  type HubObservation,
  type HubOptions,
  type HubState,
  type HubStep,
  type IssueFailure,
} from "../core/gateway/hub/state.js";
import { stepHub } from "../core/gateway/hub/step.js";
import type { WatchEvent } from "../ports/registry.js";
import type { HubEffectEnd, HubInput } from "./gateway-hub-input.js";

export type StepHub = typeof stepHub;

type Watched = "links" | "reports" | "requests";

export class HubMachine {
  readonly #options: HubOptions;
  readonly #step: StepHub;
  readonly #links = new Map<LinkName, StoredLink>();
  readonly #reports = new Map<string, { readonly report: SiteReport; readonly sinceMs: number }>();
  readonly #requests = new Map<LinkName, LinkRequest>();
  readonly #issued = new Map<LinkName, Issued>();
  readonly #issueFailures = new Map<LinkName, IssueFailure>();
  readonly #underWay = new Set<string>();
  readonly #current = new Set<Watched>();
  #unreadable: ReadonlySet<string> = new Set();
  readonly #desired: readonly Link[] | null;
  #state: HubState = newHub;

  constructor(options: HubOptions, desired: readonly Link[] | null, step: StepHub = stepHub) {
    this.#options = options;
    this.#desired = desired;
    this.#step = step;
  }

  get state(): HubState {
    return this.#state;
  }

  take(input: HubInput, nowMs: number): void {
    switch (input.kind) {
      case "links":
        return this.#seeLinks(input.event);
      case "reports":
        return this.#seeReports(input.event, nowMs);
      case "requests":
        return this.#seeRequests(input.event);
      case "failed":
        return this.#seeFailure(input.effect, input.code, input.message);
      case "retry-due":
        this.#underWay.delete(effectId(input.effect));
        return;
      default:
        return this.#takeEnd(input);
    }
  }

  /** One step over all that is known. Its effects are under way from here on, until an input ends them. */
  turn(wallMs: number, nowMs: number): HubStep {
    const step = this.#step(this.#state, this.observe(wallMs, nowMs), nowMs, this.#options);
    this.#state = step.state;
    for (const effect of step.effects) this.#underWay.add(effectId(effect));
    return step;
  }

  observe(wallMs: number, nowMs: number): HubObservation {
    const aged = ([name, { report, sinceMs }]: [string, { report: SiteReport; sinceMs: number }]): [string, ReceivedReport] => [
      name,
      { report, ageMs: nowMs - sinceMs },
    ];
    return {
      complete: this.#current.size === 3,
      desired: this.#desired,
      links: this.#links,
      hasUnreadable: this.#unreadable.size > 0,
      reports: new Map([...this.#reports].map(aged)),
      requests: this.#requests,
      issued: this.#issued,
      issueFailures: this.#issueFailures,
      inFlight: this.#underWay,
      wallMs,
    };
  }

  #seeLinks(event: WatchEvent<StoredLink>): void {
    this.#seeConnection("links", event);
    if (event.kind === "put") return this.#seeLink(event.item);
    if (event.kind === "removed") this.#links.delete(event.name as LinkName);
    if (event.kind !== "listing") return;
    this.#unreadable = new Set(event.unreadable ?? []);
    const listed = new Set(event.items.map(({ record }) => record.link.name));
    for (const name of this.#links.keys()) {
      if (!listed.has(name) && !this.#unreadable.has(name)) this.#links.delete(name);
    }
    // Also what is older than what this hub wrote: the store came back from a backup, or the write will be told next.
    for (const item of event.items) this.#setLink(item);
  }

  /** An event that is older than what this hub wrote itself is no news. */
  #seeLink(stored: StoredLink): void {
    const { name } = stored.record.link;
    const known = this.#links.get(name);
    if (known === undefined || known.version < stored.version) this.#setLink(stored);
  }

  #setLink(stored: StoredLink): void {
    const { name } = stored.record.link;
    this.#links.set(name, stored);
    const number = this.#issued.get(name)?.credentials.number;
    const isTaken = !stored.record.pairs.some(({ next }) => next?.number === number && next?.credentials === null);
    if (number !== undefined && isTaken) this.#issued.delete(name);
  }

  /** A report that is merely there says nothing of now: its age counts from the first change that is seen. */
  #seeReports(event: WatchEvent<SiteReport>, nowMs: number): void {
    this.#seeConnection("reports", event);
    if (event.kind === "put") return this.#seeReport(event.item, nowMs);
    if (event.kind === "removed") this.#reports.delete(event.name);
    if (event.kind !== "listing") return;
    const listed = new Set([...event.items.map(nameOf), ...(event.unreadable ?? [])]);
    for (const name of this.#reports.keys()) if (!listed.has(name)) this.#reports.delete(name);
    for (const report of event.items) this.#seeReport(report, -Infinity);
  }

  #seeReport(report: SiteReport, sinceMs: number): void {
    const known = this.#reports.get(nameOf(report));
    if (known?.report.beat !== report.beat) this.#reports.set(nameOf(report), { report, sinceMs });
  }

  #seeRequests(event: WatchEvent<LinkRequest>): void {
    this.#seeConnection("requests", event);
    if (event.kind === "put") this.#requests.set(event.item.link, event.item);
    if (event.kind === "removed") this.#requests.delete(event.name as LinkName);
    if (event.kind !== "listing") return;
    this.#requests.clear();
    for (const request of event.items) this.#requests.set(request.link, request);
  }

  #seeConnection(watched: Watched, event: WatchEvent<unknown>): void {
    if (event.kind === "listing") this.#current.add(watched);
    if (event.kind === "disconnected") this.#current.delete(watched);
  }

  #seeFailure(effect: HubEffect, code: string, message: string): void {
    if (effect.kind !== "issue") return;
    const { link, number } = effect.order;
    this.#issueFailures.set(link.name, { number, code, message });
  }

  #takeEnd(input: HubEffectEnd): void {
    switch (input.kind) {
      case "link-written":
        this.#underWay.delete(recordEffectId(input.stored.record.link.name));
        return this.#seeLink(input.stored);
      case "link-removed":
        this.#underWay.delete(recordEffectId(input.link));
        this.#links.delete(input.link);
        return;
      case "issued":
        this.#underWay.delete(issueEffectId(input.link));
        this.#issueFailures.delete(input.link);
        this.#issued.set(input.link, input.issued);
        return;
      case "roots-kept":
        this.#underWay.delete("keep-roots");
        return;
    }
  }
}

function nameOf(report: SiteReport): string {
  return reportName(report.link, report.site);
}
