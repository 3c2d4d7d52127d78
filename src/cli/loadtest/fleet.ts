/**
 * The agents of a load test, spread over threads. Their nodes are on the roster before they start: what is measured is the
 * rotation of a fleet that is there, and a thousand joins one after the other would be a thousand rosters to agree on.
 *
 * Owns its threads: nothing of the fleet is left after `stop`.
 */
import { Worker } from "node:worker_threads";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import type { JitterOptions } from "../../core/jitter.js";
import type { KeyIdentity } from "../../core/key-id.js";
import type { IncarnationId } from "../../core/node.js";
import { heapBytesFor } from "../simulate/heap.js";
import type { LoadCounter } from "./load-counter.js";

export interface FleetPlan {
  /** One for each agent, admitted. */
  readonly incarnationIds: readonly IncarnationId[];
  readonly coordination: "barrier" | "pairwise";
  readonly jitter: JitterOptions;
  readonly target: RegistryTarget;
  readonly keys: readonly KeyIdentity[];
}

/** What a thread is given (`fleet-thread.ts`). */
export interface ThreadPlan extends FleetPlan {
  /** Index of its first agent. */
  readonly first: number;
  /** Agents of the whole fleet. */
  readonly agents: number;
  readonly counts: SharedArrayBuffer;
  /** Cells: forced retires, how many agents are at rest on the key of each id, and how many were started. */
  readonly standing: SharedArrayBuffer;
}

/** Told to a thread: the key files of its agents change. */
export interface Offer {
  readonly keys: readonly KeyIdentity[];
}

/** A heap of this many agents is collected in much less than a lease. */
const agentsPerThread = 250;
/** Cells of a thread's standing: its forced retires at 0, the ids of keys from 1 to 255. */
export const startedCell = 256;
const mebibyte = 1024 * 1024;
const program = new URL("./fleet-thread.js", import.meta.url);

export class LoadFleet {
  readonly #threads: readonly Worker[];
  readonly #standings: readonly Int32Array<SharedArrayBuffer>[];
  #fault: Error | null = null;

  constructor(plan: FleetPlan, counter: LoadCounter) {
    const agents = plan.incarnationIds.length;
    const firsts = Array.from({ length: Math.ceil(agents / agentsPerThread) }, (_, number) => number * agentsPerThread);
    this.#standings = firsts.map(() => new Int32Array(new SharedArrayBuffer(4 * (startedCell + 1))));
    this.#threads = firsts.map((first, number) => {
      const incarnationIds = plan.incarnationIds.slice(first, first + agentsPerThread);
      const standing = this.#standings[number]?.buffer;
      const workerData = { ...plan, first, incarnationIds, agents, counts: counter.memory, standing };
      const heapBytes = heapBytesFor(incarnationIds.length, agents - 1);
      const thread = new Worker(program, { workerData, resourceLimits: { maxOldGenerationSizeMb: heapBytes / mebibyte } });
      return thread.on("error", (fault) => (this.#fault ??= fault));
    });
  }

  offer(keys: readonly KeyIdentity[]): void {
    const offer: Offer = { keys };
    for (const thread of this.#threads) thread.postMessage(offer);
  }

  /** Agents that are at rest on this key. @throws what ended a thread */
  atRestOn({ keyId }: KeyIdentity): number {
    if (this.#fault !== null) throw this.#fault;
    return this.#sum(keyId);
  }

  get forcedRetires(): number {
    return this.#sum(0);
  }

  get started(): number {
    return this.#sum(startedCell);
  }

  #sum(cell: number): number {
    return this.#standings.reduce((sum, standing) => sum + Atomics.load(standing, cell), 0);
  }

  async stop(): Promise<void> {
    await Promise.all(this.#threads.map((thread) => thread.terminate()));
  }
}
