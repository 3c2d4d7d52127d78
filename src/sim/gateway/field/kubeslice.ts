/**
 * A rotation as the kubeslice worker operator does it (worker-operator #453), reduced to what costs time and logs errors:
 * who polls what how often, what is pushed to pods that are not up yet, and what each log line is. It shares no code with
 * ours, because it decides nothing as ours does; it has no packets, as the field reports none.
 *
 * Read in its source: the periods below, and what follows what. Chosen so that the counts come near the reported ones,
 * because no source tells them: how long pods take to run, how often passes follow each other while pods come up (there,
 * requeues of 5 and 10 s and pod events), and how often a pass ends early because a tunnel's latency or rate has changed.
 * The duration and its shape then come out of the run.
 */
import type { Prng } from "../../../core/prng.js";
import type { VirtualTime } from "../../engine/virtual-time.js";

export type FieldError = "no tun interface" | "tunnel is not up yet" | "connection context" | "marshal nil" | "route exists";

/** Chosen. */
const podStartMs = { server: 85_000, client: 40_000 };
const passBusyMs = 16_000;
const changedShare = 0.75;

const passIdleMs = 120_000;
const jobPollMs = 30_000;
const sidecarCheckMs = 6_000;
const recyclerPollMs = 10_000;
const drainMs = 5_000;
const terminationMs = 30_000;
const completionPollMs = 120_000;
/** controller-runtime: 5 ms, doubled, at most 1,000 s. */
const requeueMs = (attempt: number): number => Math.min(1_000_000, 5 * 2 ** attempt);
/** OpenVPN's connect-retry: 1 s, doubled after five tries. */
const dialMs = (attempt: number): number => 1_000 * 2 ** Math.max(0, attempt - 4);

type End = "server" | "client";

interface Pod {
  readonly end: End;
  /** Its containers run, and its sidecar answers. */
  isRunning: boolean;
  hasTunnelDevice: boolean;
  isConnected: boolean;
  hasRoute: boolean;
  /** The worker has the name of the pod at the other end. */
  isPeerKnown: boolean;
}

interface Pair extends Readonly<Record<End, Pod>> {
  /** The server's node port stands at the hub; the client's cluster has made its service of it. */
  isPublished: boolean;
  isResolved: boolean;
}

export class KubesliceRotation {
  readonly errors = new Map<FieldError, number>();
  /** When the rotation was called complete, null before. */
  completeAtMs: number | null = null;
  /** When the recycling of gateways was triggered. */
  triggeredAtMs: number | null = null;
  readonly #time: VirtualTime;
  readonly #prng: Prng;
  readonly #pairs: Pair[] = [];
  readonly #nextPassMs: Record<End, number> = { server: 0, client: 0 };
  #recyclers = 0;

  constructor(time: VirtualTime, prng: Prng) {
    this.#time = time;
    this.#prng = prng;
  }

  /** Two pairs of gateways are starting, and the rotation is asked for at once ("renew before"). */
  begin(): void {
    const old = [this.#createPair(), this.#createPair()];
    for (const end of ["server", "client"] as const) this.#pass(end);
    this.#after(jobPollMs, () => this.#tryTrigger(old, 0));
  }

  get total(): number {
    return [...this.errors.values()].reduce((sum, count) => sum + count, 0);
  }

  #after(ms: number, run: () => void): void {
    this.#time.post(this.#time.nowMs + ms, run);
  }

  #count(error: FieldError): void {
    this.errors.set(error, (this.errors.get(error) ?? 0) + 1);
  }

  #createPair(): Pair {
    const pair = { server: newPod("server"), client: newPod("client"), isPublished: false, isResolved: false };
    this.#pairs.push(pair);
    for (const pod of [pair.server, pair.client]) {
      this.#after(podStartMs[pod.end] * (1 + this.#prng.share() / 4), () => this.#runPod(pod, pair));
    }
    return pair;
  }

  /** The server has its device when its configuration has come; the client has one after the handshake. */
  #runPod(pod: Pod, pair: Pair): void {
    pod.isRunning = true;
    this.#after(sidecarCheckMs, () => this.#checkTunnel(pod));
    if (pod.end === "client") return this.#after(dialMs(0), () => this.#dial(pair, 1));
    this.#after(8_000 + this.#prng.share() * 4_000, () => {
      pod.hasTunnelDevice = true;
    });
  }

  #dial(pair: Pair, attempt: number): void {
    if (!pair.server.hasTunnelDevice || !pair.isResolved) return this.#after(dialMs(attempt), () => this.#dial(pair, attempt + 1));
    pair.client.hasTunnelDevice = true;
    pair.client.isConnected = true;
    pair.server.isConnected = true;
  }

  #checkTunnel(pod: Pod): void {
    if (pod.hasTunnelDevice) return;
    this.#count("no tun interface");
    this.#after(sidecarCheckMs, () => this.#checkTunnel(pod));
  }

  /** One pass over the gateways of a cluster: status of each pod, then its connection context. */
  #pass(end: End): void {
    for (const pair of this.#pairs) {
      if (end === "server") pair.isPublished ||= pair.server.isRunning;
      else pair.isResolved ||= pair.isPublished;
    }
    const pods = this.#pairs.map((pair) => pair[end]);
    const running = pods.filter(({ isRunning }) => isRunning);
    for (const pod of running) this.#askPeer(pod);
    // A status that differs from the last one is written, and ends the pass: latency and rates differ nearly always.
    const hasChanged = running.some(({ isConnected }) => isConnected) && this.#prng.share() < changedShare;
    if (!hasChanged) for (const pod of running) this.#pushContext(pod);
    const isBusy = pods.some(({ isPeerKnown }) => !isPeerKnown);
    const waitMs = isBusy ? passBusyMs : passIdleMs;
    this.#nextPassMs[end] = this.#time.nowMs + waitMs;
    this.#after(waitMs, () => {
      if (this.#time.nowMs >= this.#nextPassMs[end]) this.#pass(end);
    });
  }

  #askPeer(pod: Pod): void {
    if (pod.isConnected) pod.isPeerKnown = true;
    else this.#count("marshal nil");
  }

  #pushContext(pod: Pod): void {
    if (!pod.hasTunnelDevice) {
      this.#count("tunnel is not up yet");
      this.#count("connection context");
      return;
    }
    if (pod.hasRoute) this.#count("route exists");
    pod.hasRoute = true;
  }

  /** Every pod of the server's side must have a peer's name; otherwise it is an error, and errors wait longer each time. */
  #tryTrigger(old: readonly Pair[], attempt: number): void {
    if (!old.every(({ server }) => server.isPeerKnown)) {
      return this.#after(requeueMs(attempt), () => this.#tryTrigger(old, attempt + 1));
    }
    this.triggeredAtMs = this.#time.nowMs;
    for (const pair of old) this.#recycle(pair);
    this.#after(completionPollMs, () => this.#pollCompletion());
  }

  /** The server's side asks and polls, the client's side polls and answers. */
  #recycle(old: Pair): void {
    this.#recyclers += 1;
    const fresh = this.#createPair();
    for (const end of ["server", "client"] as const) this.#pass(end);
    this.#poll(() => fresh.client.isPeerKnown, () => {
      this.#poll(() => fresh.server.isPeerKnown, () => {
        // Both sides take the old pod out of the routes, and look again at their next poll.
        this.#after(2 * recyclerPollMs + drainMs, () => this.#deleteOld(old));
      });
    });
  }

  #deleteOld(old: Pair): void {
    this.#after(terminationMs, () => {
      this.#pairs.splice(this.#pairs.indexOf(old), 1);
      this.#after(2 * recyclerPollMs, () => {
        // The work order itself goes in the next periodic pass.
        this.#after(Math.max(0, this.#nextPassMs.server - this.#time.nowMs), () => (this.#recyclers -= 1));
      });
    });
  }

  #poll(holds: () => boolean, then: () => void): void {
    this.#after(recyclerPollMs, () => (holds() ? then() : this.#poll(holds, then)));
  }

  #pollCompletion(): void {
    if (this.#recyclers > 0) return this.#after(completionPollMs, () => this.#pollCompletion());
    this.completeAtMs = this.#time.nowMs;
  }
}

function newPod(end: End): Pod {
  return { end, isRunning: false, hasTunnelDevice: false, isConnected: false, hasRoute: false, isPeerKnown: false };
}
