/**
 * G1, watched from outside: a link keeps a tunnel that works; an old gateway goes only when neither side sends through it
 * any more; done means that every planned pair, and at least one, has a new generation. And L1: at rest nothing is left
 * over. What a fault of the script takes away is excused for a while.
 */
import type { LinkName } from "../../core/gateway/link.js";
import type { Rotation } from "../../core/gateway/record.js";
import type { SimGatewayFleet } from "./fleet.js";
import type { SimSite } from "./site.js";
import type { Endpoint } from "./tunnels.js";

export interface GatewayViolation {
  readonly invariant: "G1" | "L1";
  readonly atMs: number;
  readonly message: string;
}

/** So long after a fault, unless said, packets of its links may be lost: a peer that is gone is missed late. */
const excuseMs = 40_000;

export class GatewayChecker {
  readonly violations: GatewayViolation[] = [];
  readonly #fleet: SimGatewayFleet;
  /** By link, until when its losses are excused. */
  readonly #excused = new Map<LinkName, number>();
  readonly #seenDone = new Map<LinkName, Rotation>();
  #lostSeen = 0;
  /** Lost packets that no fault excuses. */
  unexcused = 0;

  constructor(fleet: SimGatewayFleet) {
    this.#fleet = fleet;
    fleet.removing = (site, endpoint) => this.#seeRemoval(site, endpoint);
    this.#lookOften();
  }

  /** The script has broken something that carries traffic of this link. */
  excuse(link: LinkName, ms = excuseMs): void {
    this.#excused.set(link, this.#fleet.time.nowMs + ms);
  }

  /** A program that would bring back what an earlier fault took is gone for a while. */
  prolong(link: LinkName, ms: number): void {
    if (this.#isExcused(link, this.#fleet.time.nowMs)) this.excuse(link, ms + excuseMs);
  }

  /** At the end, when faults have stopped. */
  finish(): readonly GatewayViolation[] {
    this.#look();
    for (const link of this.#fleet.links) {
      if (!this.#fleet.isAtRest(link)) this.#report("L1", `link ${link.name} is not at rest: ${this.#standing(link.name)}`);
    }
    return this.violations;
  }

  #lookOften(): void {
    this.#look();
    this.#fleet.time.post(this.#fleet.time.nowMs + 100, () => this.#lookOften());
  }

  #look(): void {
    const { traffic } = this.#fleet;
    for (const { link, atMs, why, from } of traffic.lost.slice(this.#lostSeen)) {
      if (this.#isExcused(link, atMs)) continue;
      this.unexcused += 1;
      this.#report("G1", `a packet of link ${link} from the ${from} was lost: ${why}`, atMs);
    }
    this.#lostSeen = traffic.lost.length;
    for (const { record } of this.#fleet.registry.links.values()) this.#seeRotation(record.link.name, record.rotation);
  }

  #seeRemoval(site: SimSite, endpoint: Endpoint): void {
    const { link, pair, number, session } = endpoint;
    const record = this.#fleet.record(link);
    if (session === null || record === undefined || record.detached || this.#isExcused(link, this.#fleet.time.nowMs)) return;
    const sites = [this.#fleet.site(record.link.server), this.#fleet.site(record.link.client)];
    const user = sites.find((one) => one.routes.get(link)?.some((hop) => hop.pair === pair && hop.number === number));
    if (user === undefined) return;
    this.#report("G1", `${site.name} removes generation ${number} of pair ${pair}, and ${user.name} still sends through it`);
  }

  #seeRotation(link: LinkName, rotation: Rotation | null): void {
    if (rotation?.outcome !== "done" || this.#seenDone.get(link) === rotation) return;
    this.#seenDone.set(link, rotation);
    const isDone = rotation.planned.length > 0 && rotation.planned.every((pair) => rotation.done.includes(pair));
    if (!isDone) this.#report("G1", `link ${link} is called done with ${rotation.done.length} of ${rotation.planned.length} pairs`);
  }

  #isExcused(link: LinkName, atMs: number): boolean {
    return atMs < (this.#excused.get(link) ?? -Infinity);
  }

  #report(invariant: GatewayViolation["invariant"], message: string, atMs = this.#fleet.time.nowMs): void {
    if (this.violations.length < violationsMax) this.violations.push({ invariant, atMs, message });
  }

  #standing(link: LinkName): string {
    const record = this.#fleet.record(link);
    const pairs = record?.pairs.map(({ index, current, next }) => `${index}: ${current?.number ?? "-"} ${next?.phase ?? ""}`);
    const here = [...this.#fleet.tunnels.all].filter((one) => one.link === link).map((one) => `${one.site}/${one.pair}/${one.number}`);
    return `rotation ${record?.rotation?.outcome ?? "none"}, pairs ${pairs?.join(", ") ?? "none"}, here ${here.join(" ")}`;
  }
}

const violationsMax = 5;
