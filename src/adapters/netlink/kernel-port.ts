/**
 * The kernel's XFRM as the agent's dataplane. Invariants: plans and dumps run one at a time, in the
 * order in which they were asked for; what they return was read from the kernel afterwards; what is
 * not ours is never listed and never touched (S6), and what is ours and no plan can name is gone. It
 * works in the network namespace in which it was made.
 */
import { readFileSync, readlinkSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { AssertionError } from "../../core/assert.js";
import { modeOf } from "../../core/node.js";
import { fail, succeed } from "../../core/result.js";
import type { Probe, ProbeOutcome } from "../../core/probe.js";
import type { Operation } from "../../core/sa.js";
import type { Done, PortFailure, Stop } from "../../ports/failure.js";
import type {
  ApplyOutcome,
  DataplaneIdentity,
  KernelDump,
  KernelPort,
  Recognise,
} from "../../ports/kernel.js";
import type { Log } from "../../ports/log.js";
import type { KeySource } from "../crypto/key-source.js";
import { PortError, toFailure } from "../port-error.js";
import { makePace } from "../staging-pace.js";
import { decapsulationPlaces, holdDecapsulation, isAlive, type Holder } from "./decapsulation.js";
import { checkEsp } from "./kernel/esp-check.js";
import { refuseBesideCilium } from "./kernel/other-ipsec.js";
import type { ListedPolicy } from "./codec/model.js";
import { isGuardPolicy, keepGuard } from "./kernel/guard-keeper.js";
import { isOwnPolicy, isOwnSa } from "./kernel/ownership.js";
import { keepRoutes, readAll, readTouched, type Reader } from "./kernel/read-back.js";
import { runStages } from "./kernel/stage-runner.js";
import type { LocalNode } from "./kernel/local-node.js";
import { RouteWatch } from "./kernel/route-watch.js";
import { TunnelRoutes } from "./kernel/tunnel-routes.js";
import { findOwned } from "./owned.js";
import { sendProbes } from "./probe/policy-probes.js";
import { here, type Within } from "./probe/sockets.js";
import { NetlinkDescriptor, netlinkProtocol } from "./socket/descriptor.js";
import { loadLibc, type Libc } from "./socket/libc.js";
import { listenToXfrm, type Heard } from "./socket/notification-socket.js";
import { RequestSocket } from "./socket/request-socket.js";
import { openXfrmStat, type XfrmStat } from "./xfrm-stat.js";

export interface NetlinkKernelOptions {
  readonly local: LocalNode;
  readonly keySource: KeySource;
  readonly log: Log;
  /** The node's guard is in force from the beginning on. Default true. */
  readonly isGuarded?: boolean;
  /** Start although Cilium's IPsec seems to be here. Default false. */
  readonly besideCilium?: boolean;
  /** Lab only ("--slow-node"): see staging-pace.ts. Default 0. */
  readonly stagingDelayMs?: number;
  /** Where probes are sent. Default: the namespace that the process is in. */
  readonly within?: Within;
}

type Watcher = (reason: "connected" | "disconnected" | "foreign-change") => void;

/**
 * A port that has made sure that the kernel can do what an agent needs.
 * @throws PortError, e.g. `EPERM`, `EPROTONOSUPPORT`, `NETLINK_UNAVAILABLE`, `XFRM_STAT_UNREADABLE`
 */
export async function openNetlinkKernel(options: NetlinkKernelOptions): Promise<NetlinkKernel> {
  const kernel = new NetlinkKernel(await loadLibc(), options);
  try {
    await kernel.check();
  } catch (cause) {
    kernel.close();
    throw cause;
  }
  return kernel;
}

export class NetlinkKernel implements KernelPort {
  readonly #libc: Libc;
  readonly #guard: LocalNode["guard"];
  #reader: Reader;
  readonly #stat: XfrmStat;
  /** Of XFRM and, in tunnel mode, of routes. */
  readonly #listeners: readonly { close(): void }[];
  readonly #identity = readIdentity();
  readonly #watchers = new Set<Watcher>();
  readonly #stagingDelayMs: number;
  readonly #besideCilium: boolean;
  readonly #within: Within;
  readonly #closing = new AbortController();
  #lastTurn: Promise<void> = Promise.resolve();
  #isChangeTold = true;
  #isOpen = true;
  /** Null for plain ESP, and before `holdSockets`. */
  #holder: Holder | null = null;

  /** Opens everything in the network namespace that the thread is in. @throws PortError */
  constructor(libc: Libc, options: NetlinkKernelOptions) {
    const { keySource, log, stagingDelayMs = 0, besideCilium = false, isGuarded = true } = options;
    const local = isGuarded ? options.local : { ...options.local, guard: null };
    this.#guard = options.local.guard;
    this.#within = options.within ?? here;
    this.#libc = libc;
    this.#besideCilium = besideCilium;
    this.#stagingDelayMs = stagingDelayMs;
    this.#stat = openXfrmStat();
    const socket = orClose(this.#stat, () => new RequestSocket(new NetlinkDescriptor(libc)));
    const routes = orClose(this.#stat, () => orClose(socket, () => openRoutes(libc, options)));
    this.#reader = { socket, local, keySource, log, routes };
    const hear = (heard: Heard, portId: number): void => this.#hear(heard, portId);
    this.#listeners = orClose(this.#stat, () =>
      orClose(socket, () => {
        const xfrm = listenToXfrm(libc, ["sa", "policy", "expire"], hear);
        if (routes === null) return [xfrm];
        return [xfrm, orClose(xfrm, () => orClose(routes, () => new RouteWatch(libc, routes, () => this.#keepRoutes())))];
      }),
    );
  }

  /**
   * Blocks what must be blocked, before anything is known of the fleet. Only then: can this kernel run
   * ESP with our cipher, and may we program it? An agent that this ends leaves nothing plain (S3).
   * @throws PortError when not
   */
  async check(): Promise<void> {
    const { socket, local } = this.#reader;
    await keepGuard(socket, local, await this.#findGuard());
    this.holdSockets();
    await checkEsp(socket, local);
    if (!this.#besideCilium) await refuseBesideCilium(socket);
  }

  /**
   * Has the UDP sockets of encapsulated ESP kept open, in the network namespace that the thread is in.
   * @throws PortError as `holdDecapsulation`
   */
  holdSockets(): void {
    this.#holder = holdDecapsulation(this.#libc, decapsulationPlaces(this.#reader.local.addresses));
  }

  apply(
    stages: readonly (readonly Operation[])[],
    recognise: Recognise,
    done: Done<ApplyOutcome>,
  ): void {
    this.#enqueue(async () => {
      const { signal } = this.#closing;
      const pause = (ms: number): Promise<unknown> => sleep(ms, undefined, { signal });
      const pace = { ...makePace(stages, this.#stagingDelayMs), pause };
      await this.#reader.routes?.open(stages.flat());
      const failed = await runStages(this.#reader, stages, pace);
      if (stages.some((stage) => stage.some(isEndOfRoute))) await keepRoutes(this.#reader);
      return { ...(await readTouched(this.#reader, recognise, stages)), failed };
    }, done);
  }

  dump(recognise: Recognise, done: Done<KernelDump>): void {
    this.#enqueue(async () => {
      this.#keepHolder();
      const reading = await readAll(this.#reader, recognise);
      return { ...reading, identity: this.#identity, counters: this.#stat.read() };
    }, done);
  }

  probe(probes: readonly Probe[], done: Done<readonly ProbeOutcome[]>): void {
    const { signal } = this.#closing;
    this.#enqueue(() => sendProbes(this.#reader, this.#within, probes, signal), (sent) => {
      if (!sent.ok) return done(sent);
      void Promise.all(sent.value).then((outcomes) => void setImmediate(() => done(succeed(outcomes))));
    });
  }

  setGuard(isWanted: boolean): void {
    const guard = isWanted ? this.#guard : null;
    const change = async (): Promise<void> => {
      if (guard === this.#reader.local.guard) return;
      this.#reader = { ...this.#reader, local: { ...this.#reader.local, guard } };
      const { socket, local, log } = this.#reader;
      await keepGuard(socket, local, await this.#findGuard());
      log.write("info", isWanted ? "plain packets are blocked" : "plain packets are blocked no more", {});
    };
    this.#enqueue(change, (result) => {
      const { log } = this.#reader;
      // The next dump tries again.
      if (!result.ok) log.write("error", "the guard could not be changed", { code: result.error.code, why: result.error.message });
    });
  }

  async #findGuard(): Promise<readonly ListedPolicy[]> {
    const { socket, local } = this.#reader;
    const { policies } = await findOwned(socket, local.ownership);
    return policies.filter((policy) => isGuardPolicy(policy, local));
  }

  /** The kernel is always there: a watcher is told so, later. */
  watch(changed: Watcher): Stop {
    const watcher: Watcher = (reason) => changed(reason);
    this.#watchers.add(watcher);
    setImmediate(() => this.#watchers.has(watcher) && watcher("connected"));
    return () => void this.#watchers.delete(watcher);
  }

  /** What is waiting fails with `NETLINK_CLOSED`; SAs and policies stay. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#closing.abort();
    this.#watchers.clear();
    for (const listener of this.#listeners) listener.close();
    this.#reader.socket.close();
    this.#reader.routes?.close();
    this.#stat.close();
  }

  #enqueue<T>(request: () => Promise<T>, done: Done<T>): void {
    const answer = this.#lastTurn.then(request);
    // `done` runs in a turn of its own: what it throws is the caller's and must not end up in the
    // queue.
    this.#lastTurn = answer.then(
      (value) => void setImmediate(() => done(succeed(value))),
      (cause: unknown) => void setImmediate(() => done(fail(failureOf(cause)))),
    );
  }

  #keepRoutes(): void {
    // What fails is tried again with the next dump, which says why.
    this.#enqueue(() => keepRoutes(this.#reader), () => undefined);
  }

  /** ESP in UDP needs a socket, and it must not die with us. */
  #keepHolder(): void {
    if (this.#holder === null || isAlive(this.#holder)) return;
    this.#reader.log.write("warn", "the UDP socket of encapsulated ESP was lost and is opened again", {});
    this.holdSockets();
  }

  /** Our own changes are announced like all others, with the address of our request socket. */
  #hear(heard: Heard, portId: number): void {
    if (portId === this.#reader.socket.portId || !this.#concernsUs(heard)) return;
    if (!this.#isChangeTold) return;
    this.#isChangeTold = false;
    // Many changes at once are one reason to look.
    setImmediate(() => {
      this.#isChangeTold = true;
      for (const watcher of [...this.#watchers]) watcher("foreign-change");
    });
  }

  #concernsUs(heard: Heard): boolean {
    const { ownership } = this.#reader.local;
    if ("sa" in heard) return isOwnSa(heard.sa, ownership);
    return "policy" in heard ? isOwnPolicy(heard.policy, ownership) : true;
  }
}

/** Null but in tunnel mode. */
function openRoutes(libc: Libc, { local, log }: NetlinkKernelOptions): TunnelRoutes | null {
  if (modeOf(local.addresses) === "transport") return null;
  return new TunnelRoutes(new RequestSocket(new NetlinkDescriptor(libc, netlinkProtocol.route)), log);
}

/** May a route to a peer's network have lost its last policy? */
function isEndOfRoute(operation: Operation): boolean {
  const isOutbound = operation.kind === "delete-policy" && operation.policy.direction === "out";
  return isOutbound && operation.policy.local !== undefined;
}

function orClose<T>(resource: { close(): void }, open: () => T): T {
  try {
    return open();
  } catch (cause) {
    resource.close();
    throw cause;
  }
}

/** XFRM state lives as long as the boot and the namespace; the kernel has no other lifetime. */
function readIdentity(): DataplaneIdentity {
  return {
    bootId: readFileSync("/proc/sys/kernel/random/boot_id", "ascii").trim(),
    networkNamespace: readlinkSync("/proc/thread-self/ns/net"),
    instance: "kernel",
  };
}

/** A bug of ours is no failure of the kernel, and ends the program. */
function failureOf(cause: unknown): PortFailure {
  if (cause instanceof Error && cause.name === "AbortError") return toFailure(cause, "NETLINK_CLOSED");
  if (cause instanceof AssertionError || !(cause instanceof PortError)) throw cause;
  return toFailure(cause, cause.code);
}
