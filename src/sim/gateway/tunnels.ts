/**
 * OpenVPN between sites, as measured: a process takes its time to come up and to shake hands; a server that waits alone has
 * its device and no peer; a process that is killed is missed only after `pingRestartMs`; certificates are checked in the
 * handshake alone. A session joins the two processes of one slot. Packets go through sessions, or are lost.
 */
import { otherSide, type LinkName, type PairIndex, type Side, type SiteName } from "../../core/gateway/link.js";
import type { Credentials, TrustRoot } from "../../core/gateway/record.js";
import type { PeerEcho } from "../../core/gateway/report.js";
import { limits } from "../../core/limits.js";
import type { Prng } from "../../core/prng.js";
import type { VirtualTime } from "../engine/virtual-time.js";

export interface TunnelTimes {
  /** From the start of a process to its device. */
  readonly startMs: number;
  readonly handshakeMs: number;
  readonly pingRestartMs: number;
}

/** One end of one generation, as it lies at its site. Files outlive the process; the process outlives the site's program. */
export interface Endpoint {
  readonly link: LinkName;
  readonly side: Side;
  readonly site: SiteName;
  readonly pair: PairIndex;
  readonly number: number;
  readonly slot: 0 | 1;
  credentials: Credentials | null;
  roots: readonly TrustRoot[];
  /** Null: no process. */
  process: { readonly readyAtMs: number } | null;
  session: Session | null;
  /** When the session was lost unseen; null when it was not. */
  lostAtMs: number | null;
  bytesIn: number;
  bytesOut: number;
  answered: number;
  missed: number;
  echo: PeerEcho | null;
}

export interface Session {
  readonly server: Endpoint;
  readonly client: Endpoint;
}

export class SimTunnels {
  readonly #time: VirtualTime;
  readonly #prng: Prng;
  readonly #times: TunnelTimes;
  readonly #wallMs: (site: SiteName) => number;
  /** By link and side, then by pair and number. */
  readonly #endpoints = new Map<string, Map<string, Endpoint>>();
  /** Told when a handshake was done or a session was missed. */
  changed: (endpoint: Endpoint) => void = () => undefined;

  constructor(time: VirtualTime, prng: Prng, times: TunnelTimes, wallMs: (site: SiteName) => number) {
    this.#time = time;
    this.#prng = prng;
    this.#times = times;
    this.#wallMs = wallMs;
  }

  get all(): readonly Endpoint[] {
    return [...this.#endpoints.values()].flatMap((ends) => [...ends.values()]);
  }

  find(link: LinkName, side: Side, pair: PairIndex, number: number): Endpoint | undefined {
    return this.#endpoints.get(`${link} ${side}`)?.get(`${pair} ${number}`);
  }

  of(link: LinkName, side: Side): readonly Endpoint[] {
    return [...(this.#endpoints.get(`${link} ${side}`)?.values() ?? [])];
  }

  /** Files with a key, and nothing else. */
  add(place: Pick<Endpoint, "link" | "side" | "site" | "pair" | "number" | "slot">): Endpoint {
    const fresh: Endpoint = {
      ...place,
      credentials: null,
      roots: [],
      process: null,
      session: null,
      lostAtMs: null,
      bytesIn: 0,
      bytesOut: 0,
      answered: 0,
      missed: 0,
      echo: null,
    };
    const ends = this.#endpoints.get(`${place.link} ${place.side}`) ?? new Map<string, Endpoint>();
    this.#endpoints.set(`${place.link} ${place.side}`, ends.set(`${place.pair} ${place.number}`, fresh));
    return fresh;
  }

  /** False when another process has the port of this slot. */
  start(endpoint: Endpoint): boolean {
    if (endpoint.process !== null) return true;
    const rival = this.of(endpoint.link, endpoint.side).find((one) => isSamePlace(one, endpoint) && one.process !== null);
    if (rival !== undefined) return false;
    endpoint.process = { readyAtMs: this.#time.nowMs + this.#drawn(this.#times.startMs) };
    this.#dial(endpoint, endpoint.process.readyAtMs);
    return true;
  }

  /** Stopped in an orderly way, or killed: then the peer misses it later. */
  stop(endpoint: Endpoint, isKilled: boolean): void {
    const { session } = endpoint;
    endpoint.process = null;
    endpoint.lostAtMs = null;
    endpoint.echo = null;
    endpoint.answered = 0;
    if (session !== null) this.#end(session, isKilled ? endpoint : null);
  }

  remove(endpoint: Endpoint): void {
    this.stop(endpoint, false);
    this.#endpoints.get(`${endpoint.link} ${endpoint.side}`)?.delete(`${endpoint.pair} ${endpoint.number}`);
  }

  hasDevice(endpoint: Endpoint): boolean {
    return endpoint.process !== null && this.#time.nowMs >= endpoint.process.readyAtMs;
  }

  /** What the process itself says: a session that was lost unseen is up for it. */
  saysUp(endpoint: Endpoint): boolean {
    return this.hasDevice(endpoint) && (endpoint.session !== null || endpoint.lostAtMs !== null);
  }

  probe(endpoint: Endpoint): void {
    const { session } = endpoint;
    if (session === null) {
      endpoint.answered = 0;
      endpoint.missed += 1;
      if (endpoint.missed >= limits.gatewayProbesMissedMax) endpoint.echo = null;
      else if (endpoint.echo !== null) endpoint.echo = { ...endpoint.echo, answered: 0 };
      return;
    }
    endpoint.missed = 0;
    endpoint.answered += limits.gatewayProbesMin;
    const peer = endpoint.side === "server" ? session.client : session.server;
    for (const end of [endpoint, peer]) {
      end.bytesIn += 1_500;
      end.bytesOut += 1_500;
    }
    endpoint.echo = echoOf(peer, endpoint.answered);
  }

  /** One packet; null when it arrived, else why it did not. */
  send(endpoint: Endpoint | undefined, bytes: number): string | null {
    if (endpoint === undefined || !this.hasDevice(endpoint)) return "no device";
    endpoint.bytesOut += bytes;
    if (endpoint.session === null) return "no session";
    const peer = endpoint.side === "server" ? endpoint.session.client : endpoint.session.server;
    peer.bytesIn += bytes;
    return null;
  }

  #dial(endpoint: Endpoint, atMs: number): void {
    this.#time.post(atMs + this.#drawn(this.#times.handshakeMs), () => this.#shakeHands(endpoint));
  }

  /** Tried again by the client every so often, as long as both processes run. */
  #shakeHands(endpoint: Endpoint): void {
    if (!this.hasDevice(endpoint) || endpoint.session !== null) return;
    const peer = this.of(endpoint.link, otherSide(endpoint.side)).find((one) => isSamePlace(one, endpoint) && this.hasDevice(one));
    const [server, client] = endpoint.side === "server" ? [endpoint, peer] : [peer, endpoint];
    if (server === undefined || client === undefined) return;
    if (server.session !== null || client.lostAtMs !== null || !this.#accepts(server, client) || !this.#accepts(client, server)) return;
    const session = { server, client };
    for (const end of [server, client]) {
      end.session = session;
      end.lostAtMs = null;
      end.missed = 0;
      this.changed(end);
    }
  }

  #accepts(one: Endpoint, other: Endpoint): boolean {
    const { credentials } = other;
    if (credentials === null || !one.roots.some(({ fingerprint }) => fingerprint === credentials.root)) return false;
    return credentials.certificates[other.side].notAfterWallMs > this.#wallMs(one.site);
  }

  /** @param killed the end that is gone without a word, null when it said good-bye */
  #end(session: Session, killed: Endpoint | null): void {
    for (const end of [session.server, session.client]) {
      end.session = null;
      if (end === killed || end.process === null) continue;
      if (killed === null) {
        this.changed(end);
        this.#dial(end, this.#time.nowMs);
        continue;
      }
      const lostAtMs = this.#time.nowMs;
      end.lostAtMs = lostAtMs;
      this.#time.post(lostAtMs + this.#times.pingRestartMs, () => {
        if (end.lostAtMs !== lostAtMs) return;
        end.lostAtMs = null;
        this.changed(end);
        this.#dial(end, this.#time.nowMs);
      });
    }
  }

  /** Between the time and half as much again. */
  #drawn(ms: number): number {
    return ms * (1 + this.#prng.share() / 2);
  }
}

function echoOf(peer: Endpoint, answered: number): PeerEcho | null {
  const { credentials, site, pair, number, side } = peer;
  if (credentials === null) return null;
  const certificate = credentials.certificates[side].fingerprint;
  return { site, pair, number, digest: credentials.digest, certificate, answered, fullSize: true };
}

function isSamePlace(one: Endpoint, other: Endpoint): boolean {
  return one !== other && one.pair === other.pair && one.slot === other.slot;
}
