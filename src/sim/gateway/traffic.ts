/** Packets over links at a fixed pace, each over the next hop of the sender's route; and what was lost of them, why. */
import type { Link, LinkName, Side } from "../../core/gateway/link.js";
import type { VirtualTime } from "../engine/virtual-time.js";
import { routeHops, type SimSite } from "./site.js";
import type { SimTunnels } from "./tunnels.js";

export interface LostLinkPacket {
  readonly atMs: number;
  readonly link: LinkName;
  readonly from: Side;
  readonly why: string;
}

const packetBytes = 1_000;

export class LinkTraffic {
  readonly #time: VirtualTime;
  readonly #tunnels: SimTunnels;
  sent = 0;
  readonly lost: LostLinkPacket[] = [];
  isOn = true;

  constructor(time: VirtualTime, tunnels: SimTunnels) {
    this.#time = time;
    this.#tunnels = tunnels;
  }

  /** A packet each way every `everyMs`, from the next one on. */
  begin(link: Link, sites: Readonly<Record<Side, SimSite>>, everyMs: number): void {
    let turn = 0;
    const send = (): void => {
      if (!this.isOn) return;
      turn += 1;
      for (const side of ["server", "client"] as const) this.#send(link, side, sites[side], turn);
      this.#time.post(this.#time.nowMs + everyMs, send);
    };
    this.#time.post(this.#time.nowMs + everyMs, send);
  }

  #send(link: Link, from: Side, site: SimSite, turn: number): void {
    this.sent += 1;
    const hops = routeHops(site, link.name, from, this.#tunnels);
    const hop = hops[turn % Math.max(1, hops.length)];
    const why = hop === undefined ? "no route" : this.#tunnels.send(this.#tunnels.find(link.name, from, hop.pair, hop.number), packetBytes);
    if (why !== null) this.lost.push({ atMs: this.#time.nowMs, link: link.name, from, why });
  }
}
