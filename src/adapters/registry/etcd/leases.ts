/**
 * Liveness and leadership by etcd's own leases: a renewal is a keep-alive, which the leader answers
 * from memory; only a new lease is written. A lease ends no earlier than it was asked for, and
 * later by up to a second or two: etcd counts whole seconds and has a least time.
 */
import { randomInt } from "node:crypto";
import type { KvCandidate, KvLease } from "../kv.js";
import {
  compareResult,
  compareTarget,
  grantMethod,
  keepAliveMethod,
  revokeMethod,
  txnMethod,
  type Compare,
  type KeyValue,
  type RequestOp,
} from "./api.js";
import type { EtcdCalls } from "./calls.js";
import { sendOnStream } from "./send.js";
import type { EtcdStore } from "./store.js";

const leasePrefix = "leases/";
const leaderKey = "leader";
/** Our lease ids fit a number, so that it stays exact. */
const leaseIdMax = 2 ** 47;

/** A lease of this client, attached to a key. */
interface Held {
  readonly id: number;
  readonly ttl: number;
  readonly holder: string;
}

export class EtcdLeases {
  readonly #calls: EtcdCalls;
  readonly #store: EtcdStore;
  readonly #keyPrefix: string;
  readonly #held = new Map<string, Held>();
  readonly #renewals = new Map<string, { readonly holder: string; readonly done: Promise<void> }>();
  #leadership: Held | null = null;
  /** Starts anywhere, so that no beat of an earlier client is taken for a present one. */
  #beat = randomInt(2 ** 47);

  constructor(calls: EtcdCalls, store: EtcdStore, keyPrefix: string) {
    this.#calls = calls;
    this.#store = store;
    this.#keyPrefix = keyPrefix;
  }

  /** One at a time: of two, one would go on with a lease that the other has taken the key from. Who comes meanwhile shares it. */
  async renew(name: string, holder: string, leaseMs: number): Promise<void> {
    const before = this.#renewals.get(name);
    if (before?.holder === holder) return before.done;
    const turn = before === undefined ? Promise.resolve() : before.done.catch(() => undefined);
    const renewal = { holder, done: turn.then(() => this.#renew(name, holder, secondsOf(leaseMs))) };
    this.#renewals.set(name, renewal);
    try {
      await renewal.done;
    } finally {
      if (this.#renewals.get(name) === renewal) this.#renewals.delete(name);
    }
  }

  async #renew(name: string, holder: string, ttl: number): Promise<void> {
    const key = this.#keyPrefix + leasePrefix + name;
    const held = this.#held.get(name);
    const isSame = held?.holder === holder && held.ttl === ttl;
    if (isSame && (await this.#keepAlive(held.id)) && (await this.#isAttached(key, held))) return;
    this.#held.delete(name);
    const id = await this.#grant(ttl);
    await this.#calls.ask(txnMethod, { success: [{ put: { key, value: holder, lease: id } }] }, { repeat: "always" });
    this.#held.set(name, { id, ttl, holder });
  }

  /**
   * That a lease is listed proves a renewal within its time: etcd does not say when. So each
   * listing counts as one beat of all that are in it, and silence shows when a lease has ended.
   */
  async list(): Promise<readonly KvLease[]> {
    const { items } = await this.#store.range(leasePrefix);
    this.#beat += 1;
    const beat = this.#beat;
    return items.map(({ key, value }) => ({
      name: key.slice(leasePrefix.length),
      holder: value,
      beat,
    }));
  }

  async lead(candidate: KvCandidate, leaseMs: number): Promise<boolean> {
    const ttl = secondsOf(leaseMs);
    const held = this.#leadership;
    if (held !== null && held.holder === candidate.session && held.ttl === ttl) {
      if ((await this.#keepAlive(held.id)) && (await this.#isAttached(this.#keyPrefix + leaderKey, held))) return true;
      this.#leadership = null;
    }
    // A look costs nothing; a bid that cannot win would write a lease.
    const { items } = await this.#store.get([leaderKey]);
    return items.length === 0 && this.#bid(candidate, ttl);
  }

  /** Revoking the lease takes the key with it, in one request: there is no time for two at an end. */
  async resign(candidate: KvCandidate): Promise<void> {
    const held = this.#leadership;
    if (held === null || held.holder !== candidate.session) return;
    this.#leadership = null;
    await this.#revoke(held.id);
  }

  async #bid(candidate: KvCandidate, ttl: number): Promise<boolean> {
    const id = await this.#grant(ttl);
    const held = { id, ttl, holder: candidate.session };
    const key = this.#keyPrefix + leaderKey;
    const isFree: Compare = {
      result: compareResult.equal,
      target: compareTarget.create,
      key,
      createRevision: 0,
    };
    const put: RequestOp = { put: { key, value: leaderValue(candidate), lease: id } };
    const request = { compare: [isFree], success: [put], failure: [{ range: { key } }] };
    const answer = await this.#calls.ask(txnMethod, request, { repeat: "always" });
    // A try that was repeated may have found its own success.
    const present = answer.responses[0]?.range?.kvs[0];
    const wins = answer.succeeded || isOf(present, id);
    if (wins) this.#leadership = held;
    else await this.#revoke(id);
    return wins;
  }

  /** The key may have gone without the lease, by somebody's hand, by a restore, or to another lease by a write that came late. */
  async #isAttached(key: string, { id }: Held): Promise<boolean> {
    const range = { key };
    const answer = await this.#calls.ask(txnMethod, { success: [{ range }] }, { repeat: "always" });
    return isOf(answer.responses[0]?.range?.kvs[0], id);
  }

  /** Not repeated when it may have been granted: etcd refuses an id that it has. */
  async #grant(ttl: number): Promise<number> {
    const id = 1 + randomInt(leaseIdMax);
    await this.#calls.ask(grantMethod, { ttl, id }, { repeat: "unsent" });
    return id;
  }

  /** False when the lease is gone. */
  async #keepAlive(id: number): Promise<boolean> {
    const send = sendOnStream;
    const { ttl } = await this.#calls.ask(keepAliveMethod, { id }, { repeat: "always", send });
    return ttl > 0;
  }

  async #revoke(id: number): Promise<void> {
    await this.#calls.ask(revokeMethod, { id }, { repeat: "unsent", lingers: true });
  }
}

function isOf(kv: KeyValue | undefined, leaseId: number): boolean {
  return kv?.lease === leaseId;
}

/** For people who look: who leads, and since which start. */
function leaderValue({ name, session }: KvCandidate): string {
  return JSON.stringify({ name, session });
}

/** Not earlier than asked for. */
function secondsOf(leaseMs: number): number {
  return Math.max(1, Math.ceil(leaseMs / 1_000));
}
