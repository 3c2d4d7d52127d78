/** S1: no packet is lost that nothing excuses. The verdict on each packet is the traffic model's; this says whose fault it was. */
import { splitSpi } from "../../core/spi.js";
import type { SimFleet } from "../fleet.js";
import { transitMs, type LostPacket } from "../model/traffic.js";
import { seconds, type Checker, type Violation } from "./checker.js";
import type { History, SaLife } from "./history.js";

interface FirstLoss {
  readonly packet: LostPacket;
  /** The SA that had been there for it, null when there was none yet. */
  readonly life: SaLife | null;
  /** The cause of a packet that never left. */
  readonly blocked: string | null;
}

export class LossChecker implements Checker {
  readonly invariant = "S1";
  readonly #fleet: SimFleet;
  readonly #history: History;
  readonly #because: string;
  #seen = 0;
  #first: FirstLoss | null = null;

  /** @param label what is special about the run, such as `order = advertise-first`; null for nothing */
  constructor(fleet: SimFleet, history: History, label: string | null) {
    this.#fleet = fleet;
    this.#history = history;
    this.#because = label === null ? "" : ` because ${label}`;
  }

  /** What the history shows of the first loss is kept, as later events would hide it. */
  look(): void {
    const { lost } = this.#fleet.traffic;
    for (; this.#first === null && this.#seen < lost.length; this.#seen += 1) {
      const packet = lost[this.#seen];
      if (packet !== undefined && packet.excuse === null) this.#first = this.#noted(packet);
    }
  }

  finish(): readonly Violation[] {
    this.look();
    if (this.#first === null) return [];
    const { packet, blocked } = this.#first;
    const losses = this.#fleet.losses().length;
    const message = `lost ${losses} packets, the first from ${packet.from} to ${packet.to} by ${packet.reason}`;
    const cause = `${blocked ?? this.#unheld(this.#first)}${this.#because}`;
    return [{ invariant: "S1", atMs: packet.sentAtMs, message, cause }];
  }

  #noted(packet: LostPacket): FirstLoss {
    if (packet.keyId === 0) return { packet, life: null, blocked: this.#blocked(packet) };
    const life = this.#history.inbound(packet.to, packet.from, packet.keyId);
    const wasThere = life !== null && life.installedMs <= packet.sentAtMs;
    return { packet, life: wasThere ? life : null, blocked: null };
  }

  /** The packet left, and its receiver could not decrypt it. */
  #unheld({ packet, life }: FirstLoss): string {
    const { from, to, keyId, sentAtMs } = packet;
    const sent = `${from} sent with key ${keyId} to ${to} at ${seconds(sentAtMs)}`;
    const advertisedMs = this.#history.advertisedMs(to, keyId);
    const advertised = advertisedMs === null ? "it never advertised it" : `it advertised at ${seconds(advertisedMs)}`;
    const known = life ?? this.#history.inbound(to, from, keyId);
    return `${sent}; ${to} ${known === null ? "never staged it" : describeLife(known, sentAtMs)}; ${advertised}`;
  }

  /** The packet never left, although this pair had been able to send. */
  #blocked({ from, to, reason, sentAtMs }: LostPacket): string {
    const { ipv4, ipv6 } = this.#fleet.node(to).addresses;
    const kept = `${from} could not send to ${to} at ${seconds(sentAtMs)} (${reason})`;
    const selections = [ipv4, ipv6].map((address) => (address === null ? null : this.#history.selection(from, address)));
    const last = selections.find((selection) => selection !== null) ?? null;
    if (last === null) return `${kept}; it has no outbound policy for it`;
    if (last.action === "block") return `${kept}; it blocked it at ${seconds(last.sinceMs)}`;
    const key = last.spi === null ? "" : ` with key ${splitSpi(last.spi).keyId}`;
    return `${kept}; it could${key} again at ${seconds(last.sinceMs)}`;
  }
}

function describeLife({ installedMs, deletedMs }: SaLife, sentAtMs: number): string {
  const staged = `staged it at ${seconds(installedMs)}`;
  if (installedMs > sentAtMs) return staged;
  if (deletedMs !== null && deletedMs <= sentAtMs + transitMs) return `${staged} and deleted it at ${seconds(deletedMs)}`;
  return `${staged} and no longer held it, or held another lifetime's`;
}
