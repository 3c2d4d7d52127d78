/** S1: no packet is lost that nothing excuses. The verdict on each packet is the traffic model's; this says whose fault it was. */
import type { NodeName } from "../../core/node.js";
import { splitSpi } from "../../core/spi.js";
import type { SimFleet } from "../fleet.js";
import type { LostPacket } from "../model/traffic.js";
import { seconds, type Checker, type Violation } from "./checker.js";
import type { History } from "./history.js";

export class LossChecker implements Checker {
  readonly invariant = "S1";
  readonly #fleet: SimFleet;
  readonly #history: History;
  readonly #because: string;
  #seen = 0;
  #first: Violation | null = null;

  /** @param label what is special about the run, such as `order = advertise-first`; null for nothing */
  constructor(fleet: SimFleet, history: History, label: string | null) {
    this.#fleet = fleet;
    this.#history = history;
    this.#because = label === null ? "" : ` because ${label}`;
  }

  /** The cause is told while the history still shows it. */
  look(): void {
    const { lost } = this.#fleet.traffic;
    for (; this.#first === null && this.#seen < lost.length; this.#seen += 1) {
      const packet = lost[this.#seen];
      if (packet === undefined || packet.excuse !== null) continue;
      const message = `lost packets from ${packet.from} to ${packet.to} by ${packet.reason}`;
      this.#first = { invariant: "S1", atMs: packet.sentAtMs, message, cause: this.#causeOf(packet) };
    }
  }

  finish(): readonly Violation[] {
    this.look();
    if (this.#first === null) return [];
    const losses = this.#fleet.losses().length;
    return [{ ...this.#first, message: `${this.#first.message}, the first of ${losses} that nothing excuses` }];
  }

  #causeOf(loss: LostPacket): string {
    return loss.keyId === 0 ? this.#blocked(loss) : this.#unheld(loss);
  }

  /** The packet left, and its receiver could not decrypt it. */
  #unheld({ from, to, keyId, sentAtMs }: LostPacket): string {
    const sent = `${from} sent with key ${keyId} to ${to} at ${seconds(sentAtMs)}`;
    const advertisedMs = this.#history.advertisedMs(to, keyId);
    const advertised = advertisedMs === null ? "it never advertised it" : `it advertised at ${seconds(advertisedMs)}`;
    return `${sent}; ${this.#staged(to, from, keyId, sentAtMs)}; ${advertised}${this.#because}`;
  }

  #staged(to: NodeName, from: NodeName, keyId: number, sentAtMs: number): string {
    const life = this.#history.inbound(to, from, keyId);
    if (life === null) return `${to} never staged it`;
    if (life.installedMs > sentAtMs) return `${to} staged it at ${seconds(life.installedMs)}`;
    const staged = `${to} staged it at ${seconds(life.installedMs)}`;
    if (life.deletedMs !== null) return `${staged} and deleted it at ${seconds(life.deletedMs)}`;
    return `${staged} and no longer holds it, or holds another lifetime's`;
  }

  /** The packet never left, although this pair had been able to send. */
  #blocked({ from, to, reason, sentAtMs }: LostPacket): string {
    const { ipv4, ipv6 } = this.#fleet.node(to).addresses;
    const kept = `${from} could not send to ${to} at ${seconds(sentAtMs)} (${reason})`;
    const selections = [ipv4, ipv6].map((address) => (address === null ? null : this.#history.selection(from, address)));
    const last = selections.find((selection) => selection !== null) ?? null;
    if (last === null) return `${kept}; it has no outbound policy for it${this.#because}`;
    if (last.action === "block") return `${kept}; it blocked it at ${seconds(last.sinceMs)}${this.#because}`;
    const key = last.spi === null ? "" : ` with key ${splitSpi(last.spi).keyId}`;
    return `${kept}; it could${key} again at ${seconds(last.sinceMs)}${this.#because}`;
  }
}
