/**
 * What a site is without its ports: what it knows, its state, and the step between them. The same inputs and turns give
 * the same effects, whoever feeds them.
 */
import { sideOf, type LinkName } from "../core/gateway/link.js";
import { laterOf, type LinkRecord, type StoredLink } from "../core/gateway/record.js";
import type { LinkObservation, SiteReport } from "../core/gateway/report.js";
import {
  effectId,
  gatewayId,
  gatewayOf,
  linkOf,
  newSite,
  type ObservedLink,
  type SiteEffect,
  type SiteFailure,
  type SiteNote,
  type SiteObservation,
  type SiteOptions,
  type SiteState,
  type SiteStep,
} from "../core/gateway/site/state.js";
import { stepSite } from "../core/gateway/site/step.js";
import type { WatchEvent } from "../ports/registry.js";
import { findMissingLinks } from "./gateway-missing-links.js";
import type { SiteEffectEnd, SiteInput } from "./gateway-site-input.js";

export type StepSite = typeof stepSite;

/** An observation with the deeds of the link that had been done when it began. */
interface Seen {
  readonly observation: LinkObservation;
  readonly startedMs: number;
  readonly deeds: number;
}

export class SiteMachine {
  readonly #options: SiteOptions;
  readonly #step: StepSite;
  readonly #newest: Map<LinkName, LinkRecord>;
  readonly #gone = new Set<LinkName>();
  #links: ReadonlyMap<LinkName, LinkRecord>;
  readonly #seen = new Map<LinkName, Seen>();
  readonly #begun = new Map<LinkName, { readonly startedMs: number; readonly deeds: number }>();
  readonly #deeds = new Map<LinkName, number>();
  readonly #csrs = new Map<string, string>();
  readonly #failures = new Map<string, SiteFailure>();
  readonly #published = new Map<LinkName, SiteReport>();
  readonly #running = new Set<string>();
  readonly #waiting = new Set<string>();
  readonly #touched = new Set<LinkName>();
  /** Not told yet. */
  readonly #notes: SiteNote[] = [];
  /** Missing from the registry, and not believed. */
  #held: readonly LinkName[] = [];
  #state: SiteState = newSite;

  /** @param links what the site's own file says */
  constructor(options: SiteOptions, links: readonly LinkRecord[], step: StepSite = stepSite) {
    this.#options = options;
    this.#step = step;
    this.#links = new Map(links.map((record) => [record.link.name, record]));
    this.#newest = new Map(this.#links);
  }

  get state(): SiteState {
    return this.#state;
  }

  take(input: SiteInput): void {
    switch (input.kind) {
      case "links":
        return this.#seeLinks(input.event);
      case "touched":
        this.#touched.add(input.link);
        return;
      case "ended":
        return this.#takeEnd(input.effect, input.end);
      case "failed":
        return this.#takeFailure(input.effect, input.code, input.message);
      case "retry-due":
        this.#waiting.delete(effectId(input.effect));
        return;
    }
  }

  /** One step over all that is known. Its effects are under way from here on, until an input ends them. */
  turn(nowMs: number): SiteStep {
    const step = this.#step(this.#state, this.observe(), nowMs, this.#options);
    this.#state = step.state;
    for (const effect of step.effects) {
      this.#running.add(effectId(effect));
      if (effect.kind === "observe") this.#beginObservation(effect.link.name, nowMs);
    }
    return { ...step, notes: [...this.#notes.splice(0), ...step.notes] };
  }

  observe(): SiteObservation {
    const observed = [...this.#seen].map(([name, { observation, startedMs, deeds }]): [LinkName, ObservedLink] => [
      name,
      { observation, startedMs, isCurrent: deeds === this.#deedsOf(name) },
    ]);
    return {
      links: this.#links,
      newest: this.#newest,
      gone: this.#gone,
      observed: new Map(observed),
      csrs: this.#csrs,
      failures: this.#failures,
      published: this.#published,
      running: this.#running,
      waiting: this.#waiting,
      touched: this.#touched,
    };
  }

  #beginObservation(name: LinkName, startedMs: number): void {
    this.#touched.delete(name);
    this.#begun.set(name, { startedMs, deeds: this.#deedsOf(name) });
  }

  #deedsOf(name: LinkName): number {
    return this.#deeds.get(name) ?? 0;
  }

  /** What is gone from a complete listing is no longer wanted, unless that is too much; what cannot be read is as it was. */
  #seeLinks(event: WatchEvent<StoredLink>): void {
    if (event.kind === "put") return this.#seeLink(event.item.record);
    if (event.kind === "removed") return this.#seeRemoval(event.name as LinkName);
    if (event.kind !== "listing") return;
    const listed = new Set<string>([...event.items.map(({ record }) => record.link.name), ...(event.unreadable ?? [])]);
    const { gone, held } = findMissingLinks(this.#newest, listed);
    for (const name of gone) this.#detach(name);
    this.#hold(held);
    for (const { record } of event.items) this.#seeLink(record);
  }

  /** The hub marks a link as detached before it removes it: a removal without that is none of its own. */
  #seeRemoval(name: LinkName): void {
    if (this.#newest.get(name)?.detached === false) this.#hold([...this.#held.filter((one) => one !== name), name]);
    else this.#detach(name);
  }

  #hold(names: readonly LinkName[]): void {
    const isNews = names.some((name) => !this.#held.includes(name));
    this.#held = names;
    if (isNews) this.#notes.push({ kind: "held", links: names });
  }

  #seeLink(record: LinkRecord): void {
    if (sideOf(record.link, this.#options.site) === null) return;
    this.#newest.set(record.link.name, record);
    this.#gone.delete(record.link.name);
    this.#held = this.#held.filter((name) => name !== record.link.name);
  }

  #detach(name: LinkName): void {
    const registered = this.#newest.get(name);
    if (registered === undefined) return;
    const known = laterOf(this.#links.get(name), registered);
    this.#gone.add(name);
    if (!known.detached) this.#newest.set(name, { ...known, detached: true });
  }

  #takeEnd(effect: SiteEffect, end: SiteEffectEnd): void {
    const id = effectId(effect);
    this.#running.delete(id);
    this.#failures.delete(id);
    const link = linkOf(effect);
    if (effect.kind === "replace-route") this.#forgetFailures(`${effect.link.name} replace-route `);
    switch (end.kind) {
      case "links-saved":
        this.#links = end.links;
        return this.#forget();
      case "observed": {
        const begun = link === null ? undefined : this.#begun.get(link);
        if (link !== null && begun !== undefined) this.#seen.set(link, { ...begun, observation: end.observation });
        return;
      }
      case "prepared":
        if (effect.kind !== "prepare") return;
        this.#csrs.set(gatewayId(effect.gateway.link.name, effect.gateway.pair, effect.gateway.number), end.csr);
        return this.#countDeed(link);
      case "report-published":
        this.#published.set(end.report.link, end.report);
        return;
      case "deed-done":
        return this.#countDeed(link);
    }
  }

  /** A route that was written makes up for any that was not. */
  #forgetFailures(prefix: string): void {
    for (const id of this.#failures.keys()) if (id.startsWith(prefix)) this.#failures.delete(id);
  }

  #countDeed(link: LinkName | null): void {
    if (link !== null) this.#deeds.set(link, this.#deedsOf(link) + 1);
  }

  /** It is not known how much of the deed was done. */
  #takeFailure(effect: SiteEffect, code: string, message: string): void {
    const id = effectId(effect);
    this.#running.delete(id);
    this.#waiting.add(id);
    const at = gatewayOf(effect);
    if (at !== null) this.#failures.set(id, { pair: at.pair, number: at.number, code, message });
    if (effect.kind !== "observe" && effect.kind !== "publish-report") this.#countDeed(linkOf(effect));
  }

  /** What concerns a link that is gone, or a generation that no record names any more. */
  #forget(): void {
    const numbers = new Set<string>();
    for (const [name, { pairs }] of this.#links) {
      for (const { index, current, next } of pairs) {
        for (const one of [current, next]) if (one !== null) numbers.add(gatewayId(name, index, one.number));
      }
    }
    for (const id of this.#csrs.keys()) if (!numbers.has(id)) this.#csrs.delete(id);
    for (const [id, { pair, number }] of this.#failures) {
      const name = id.slice(0, id.indexOf(" ")) as LinkName;
      if (!numbers.has(gatewayId(name, pair, number))) this.#failures.delete(id);
    }
    for (const name of this.#gone) {
      if (this.#links.has(name)) continue;
      this.#newest.delete(name);
      this.#gone.delete(name);
    }
    for (const map of [this.#seen, this.#published, this.#deeds, this.#begun]) {
      for (const name of map.keys()) if (!this.#links.has(name)) map.delete(name);
    }
  }
}
