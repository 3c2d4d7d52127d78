/**
 * One real agent of a load test: the loop, the steps and the registry connection of `spindle agent`,
 * over a simulated kernel, disk and key file. What the simulated parts take of time is real time.
 */
import { connectRegistry, type RegistryTarget } from "../../adapters/registry/connect.js";
import { systemClock } from "../../adapters/system/clock.js";
import type { JitterOptions } from "../../core/jitter.js";
import type { KeyIdentity } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import type { IncarnationId, NodeAddresses, NodeName } from "../../core/node.js";
import type { Report } from "../../core/report.js";
import type { Clock } from "../../ports/clock.js";
import type { KeyFileReading, KeystorePort } from "../../ports/keystore.js";
import type { Log } from "../../ports/log.js";
import type { RegistryPort } from "../../ports/registry.js";
import { AgentLoop, type AgentLoopOptions, type AgentView } from "../../runtime/agent-loop.js";
import type { VirtualTime } from "../../sim/engine/virtual-time.js";
import { SimDisk, storageOf } from "../../sim/model/disk.js";
import { SimKernel } from "../../sim/model/kernel.js";
import { randomIncarnationId } from "./incarnation.js";
import { countingRegistry } from "./counting-registry.js";
import type { LoadCounter } from "./load-counter.js";

export interface LoadAgentOptions {
  readonly index: number;
  /** The one that it was admitted with. */
  readonly incarnationId: IncarnationId;
  readonly coordination: "barrier" | "pairwise";
  readonly jitter: JitterOptions;
  readonly target: RegistryTarget;
  readonly counter: LoadCounter;
  /** Shared by the agents of a thread. */
  readonly clock: Clock;
  /** Of the simulated parts; somebody drives it along with real time. */
  readonly time: VirtualTime;
  /** Called with what cannot pass: the run proves nothing. */
  readonly failed: (message: string) => void;
}

/** Netlink on a quiet machine (docs/reference/performance-netlink.md), and a disk that syncs. */
const kernelCosts = { operationMs: (): number => 0.02, requestMs: (): number => 0.2 };
const diskMs = 2;
const drainMs = 1_000;
const retireDeadlineMs = 600_000;

export class LoadAgent {
  readonly #loop: AgentLoop;
  readonly #registry: RegistryPort;
  /** Its dataplane, which a test may make sick. */
  readonly kernel: SimKernel;
  readonly #readers = new Set<(reading: KeyFileReading) => void>();
  #keys: readonly KeyIdentity[];
  #report: Report | null = null;

  private constructor(options: LoadAgentOptions, registry: RegistryPort, keys: readonly KeyIdentity[]) {
    this.#keys = keys;
    this.#registry = this.#noticing(countingRegistry(registry, options.counter));
    const { clock, time } = options;
    this.kernel = new SimKernel(time, kernelCosts);
    this.#loop = new AgentLoop(loopOptions(options), {
      clock,
      kernel: this.kernel.port(() => true),
      keystore: this.#keystore(),
      registry: this.#registry,
      storage: storageOf(new SimDisk(), time, () => true, () => diskMs),
      log: silent,
      randomIncarnationId: incarnations(options.incarnationId),
      chance: Math.random,
    });
    this.#loop.start(options.failed);
  }

  static async start(options: LoadAgentOptions, keys: readonly KeyIdentity[]): Promise<LoadAgent> {
    return new LoadAgent(options, await connectRegistry(options.target), keys);
  }

  /** The key file changes. */
  offer(keys: readonly KeyIdentity[]): void {
    this.#keys = keys;
    for (const read of [...this.#readers]) read({ kind: "valid", keys });
  }

  /** At rest on `key` alone, with every one of `peers`, and the registry knows it. */
  isAtRest(key: KeyIdentity, peers: number): boolean {
    const state = this.inspect()?.state;
    const report = this.#report;
    if (state?.phase !== "steady" || state.tally.covered !== peers || report === null) return false;
    const [held, ...others] = report.holds;
    const sends = report.sendingOldest === key.keyId && report.sendingNewest === key.keyId;
    return held?.keyId === key.keyId && others.length === 0 && sends;
  }

  /** It can receive from everybody on the roster, and the registry knows it. */
  get isStaged(): boolean {
    return this.#report !== null && this.#report.holds.length > 0;
  }

  /** Null until it has started. */
  inspect(): AgentView | null {
    return this.#loop.inspect();
  }

  get forcedRetires(): number {
    return this.inspect()?.forcedRetires ?? 0;
  }

  stop(): void {
    this.#loop.stop();
    this.#registry.close();
  }

  /** Keeps the last report that the registry took. */
  #noticing(registry: RegistryPort): RegistryPort {
    const publishReport: RegistryPort["publishReport"] = (report, done) => {
      registry.publishReport(report, (result) => {
        if (result.ok) this.#report = report;
        done(result);
      });
    };
    return { ...registry, publishReport };
  }

  #keystore(): KeystorePort {
    return {
      watch: (read) => {
        this.#readers.add(read);
        systemClock.defer(() => read({ kind: "valid", keys: this.#keys }));
        return () => this.#readers.delete(read);
      },
      forget: () => undefined,
    };
  }
}

export function nodeNameOf(index: number): NodeName {
  return `node-${index + 1}` as NodeName;
}

/** 198.18.0.0/15 is for benchmarks (RFC 2544): nobody is there. */
export function addressesOf(index: number): NodeAddresses {
  return { ipv4: `198.18.${index >> 8}.${index & 255}`, ipv6: null, udpPort: 4500 };
}

function loopOptions({ index, coordination, jitter, target }: LoadAgentOptions): AgentLoopOptions {
  return {
    name: nodeNameOf(index),
    addresses: addressesOf(index),
    coordination,
    ring: 255,
    jitter,
    drainMs,
    retireDeadlineMs,
    emergencyDeadlineMs: limits.emergencyDeadlineMsDefault,
    reportIntervalMs: limits.reportIntervalMsDefault,
    resyncMs: limits.resyncMs,
    massDeletionShare: limits.massDeletionShareDefault,
    leaseMs: target.kind === "kubernetes" ? limits.kubernetesLeaseMsDefault : limits.leaseMsDefault,
  };
}

/** The one that it was admitted with, then others. */
function incarnations(first: IncarnationId): () => IncarnationId {
  let next = first;
  return () => {
    const id = next;
    next = randomIncarnationId();
    return id;
  };
}

const silent: Log = { write: () => undefined };
