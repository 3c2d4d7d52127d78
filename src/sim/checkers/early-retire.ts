/**
 * S2: an inbound SA goes only when no counted sender can still use it, plus a drain; or at the declared deadline, and
 * then it is counted and logged as forced. Looks at the sender's kernel when the receiver's deletes.
 */
import type { KeyIdentity } from "../../core/key-id.js";
import type { NodeName } from "../../core/node.js";
import { sameKeyRef, type SaSlot, type SaSpec } from "../../core/sa.js";
import { splitSpi } from "../../core/spi.js";
import type { SimFleet } from "../fleet.js";
import { seconds, violationsMax, type Checker, type Violation } from "./checker.js";
import type { History } from "./history.js";

export interface RetireRules {
  readonly drainMs: number;
  /** Keys that an operator declared compromised: these may go by force, with their deadline. */
  readonly compromised: readonly KeyIdentity[];
}

export class EarlyRetireChecker implements Checker {
  readonly invariant = "S2";
  readonly #fleet: SimFleet;
  readonly #history: History;
  readonly #rules: RetireRules;
  readonly #violations: Violation[] = [];

  constructor(fleet: SimFleet, history: History, rules: RetireRules) {
    this.#fleet = fleet;
    this.#history = history;
    this.#rules = rules;
    history.observe((name, operation, atMs) => {
      if (operation.kind === "delete-sa" && operation.slot.direction === "in") this.#deleted(name, operation.slot, atMs);
    });
  }

  look(): void {
    // Deletions are seen when they happen.
  }

  finish(): readonly Violation[] {
    return [...this.#violations.slice(0, violationsMax), ...this.#forced()];
  }

  #deleted(receiver: NodeName, slot: SaSlot, atMs: number): void {
    const spec = this.#history.life(receiver, slot)?.spec;
    if (spec === undefined || !this.#isCounted(spec) || this.#isForced(spec)) return;
    const sender = spec.key.from.name;
    const why = this.#mayStillUse(sender, spec, atMs);
    if (why === null) return;
    const message = `${receiver} deleted the inbound SA of key ${spec.key.keyId} from ${sender} at ${seconds(atMs)}`;
    this.#violations.push({ invariant: "S2", atMs, message, cause: why });
  }

  /** Both ends are present in the lifetimes of the SA, and neither is excluded. */
  #isCounted({ key }: SaSpec): boolean {
    const { registry, nodes } = this.#fleet;
    return [key.from, key.to].every(({ name, incarnationId }) => {
      const isExcluded = registry.fleet?.excluded.some((one) => one.name === name) === true;
      const node = nodes.get(name);
      const isLost = node === undefined || node.departed || node.lostIncarnations.has(incarnationId);
      return !isLost && !isExcluded && registry.entry(name)?.incarnationId === incarnationId;
    });
  }

  #isForced({ key }: SaSpec): boolean {
    const isForcedAt = (name: NodeName): boolean => this.#fleet.node(name).forcedKeyIds.has(key.keyId);
    return isForcedAt(key.from.name) || isForcedAt(key.to.name);
  }

  /**
   * A drain is owed to the older key of a rotation, and to one that goes because nothing is encrypted any more; an aborted
   * key was refused, and only its use must have ended.
   */
  #mayStillUse(sender: NodeName, { spi, destination, key }: SaSpec, atMs: number): string | null {
    const sent = this.#history.life(sender, { direction: "out", spi, remote: destination });
    if (sent === null || !sameKeyRef(sent.spec.key, key)) return null;
    const selections = this.#history.selections(sender, destination.address, key.to.name);
    const selecting = selections.find((selection) => selection.spi === spi);
    if (selecting !== undefined) return `${sender} has sent with it since ${seconds(selecting.sinceMs)}`;
    const keyIds = selections.map((selection) => (selection.spi === null ? 0 : splitSpi(selection.spi).keyId));
    const newer = keyIds.length === 0 ? 0 : Math.min(...keyIds);
    const untilMs = this.#history.deselectedMs(sender, destination.address, key.to.name, spi);
    const isOwed = newer > key.keyId || this.#fleet.registry.fleet?.levels?.level === "off";
    if (untilMs === null || !isOwed || atMs - untilMs >= this.#rules.drainMs) return null;
    return `${sender} sent with it until ${seconds(untilMs)}, and the drain takes ${this.#rules.drainMs} ms`;
  }

  #forced(): readonly Violation[] {
    return this.#fleet.logs
      .filter(({ message }) => message === "old key retired by force")
      .filter(({ fields }) => !this.#rules.compromised.some((key) => key.keyId === fields["keyId"]))
      .slice(0, violationsMax)
      .map(({ atMs, who, fields }) => {
        const message = `${who} retired key ${String(fields["keyId"])} by force at ${seconds(atMs)}`;
        return { invariant: "S2", atMs, message, cause: "its deadline passed without evidence from every peer" };
      });
  }
}
