/**
 * The nodes' network and its clockwork: one timer in which every node's hosts send what is due and
 * read what has come. One process for all, because each costs memory and start-up time; namespaces
 * keep the nodes apart.
 */
import { loadLibc, type Libc } from "../../adapters/netlink/socket/libc.js";
import { systemClock } from "../../adapters/system/clock.js";
import { loadSockets, type Sockets } from "../network/sockets.js";
import { Switch } from "../network/switch.js";

const tickMs = 4;

export interface Host {
  turn(nowMs: number): void;
}

export class KernelNetwork {
  readonly network: Switch;
  readonly sockets: Sockets;
  readonly libc: Libc;
  readonly #hosts = new Set<Host>();
  #timer: NodeJS.Timeout | null = null;

  private constructor(network: Switch, sockets: Sockets, libc: Libc) {
    this.network = network;
    this.sockets = sockets;
    this.libc = libc;
  }

  /** @throws LabError LAB_NETWORK_UNAVAILABLE, PortError NETLINK_UNAVAILABLE */
  static async open(): Promise<KernelNetwork> {
    return new KernelNetwork(await Switch.open(), await loadSockets(), await loadLibc());
  }

  /** Gives it a turn every few milliseconds. */
  add(host: Host): void {
    this.#hosts.add(host);
    this.#timer ??= setInterval(() => this.#tick(), tickMs);
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
    this.#hosts.clear();
    this.network.close();
  }

  #tick(): void {
    for (const host of this.#hosts) host.turn(systemClock.nowMs());
  }
}
