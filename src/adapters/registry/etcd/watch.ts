/**
 * One watch of one prefix, on a stream of its own, that goes on where it was after whatever fault:
 * a member that ends, one that is cut off (it ends the stream, see `hasleader`), one that is silent.
 *
 * Invariant: between `disconnected` and `resumed` the listener gets what it missed, in order and
 * once; when the store can no longer say, it gets `compacted` and the watch is over.
 */
import { status, type Client, type ClientDuplexStream } from "@grpc/grpc-js";
import { limits } from "../../../core/limits.js";
import { backoffMs, pause } from "../backoff.js";
import type { KvEvent } from "../kv.js";
import { portErrorOf } from "../settle.js";
import { rangeEndOf, watchMethod, type WatchRequest, type WatchResponse } from "./api.js";
import { changesOf, countDelta } from "./changes.js";
import type { EtcdCalls } from "./calls.js";
import { isCaughtUp, readFence, type Fence } from "./fence.js";
import { faultOf, faultOfStatus } from "./faults.js";
import { metadataWith } from "./send.js";
import { Silence } from "./silence.js";

type Stream = ClientDuplexStream<WatchRequest, WatchResponse>;

export class EtcdWatch {
  readonly #calls: EtcdCalls;
  readonly #prefix: string;
  readonly #keyPrefix: string;
  readonly #listener: (event: KvEvent) => void;
  readonly #stopping = new AbortController();
  /** Revision up to which the listener was told everything. */
  #seen: number;
  #cluster: number | null = null;
  #isLost = false;
  #attempt = 0;
  #cancel = (): void => undefined;

  /** @param keyPrefix of the fleet, in front of `prefix` */
  constructor(
    calls: EtcdCalls,
    keyPrefix: string,
    prefix: string,
    after: number,
    listener: (event: KvEvent) => void,
  ) {
    this.#calls = calls;
    this.#keyPrefix = keyPrefix;
    this.#prefix = keyPrefix + prefix;
    this.#seen = after;
    this.#listener = listener;
    void this.#run();
  }

  stop(): void {
    this.#stopping.abort();
    this.#cancel();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const reason = await this.#follow();
      if (signal.aborted) return;
      if (reason === "compacted") return this.#end();
      this.#lose(reason);
      const { registryReconnectMsMin, registryReconnectMsMax } = limits;
      const waitMs = backoffMs(this.#attempt, registryReconnectMsMin, registryReconnectMsMax);
      this.#attempt += 1;
      await pause(waitMs, signal);
    }
  }

  #end(): void {
    this.#stopping.abort();
    this.#listener({ kind: "compacted" });
  }

  #lose(reason: string): void {
    this.#isLost = true;
    this.#listener({ kind: "disconnected", reason });
  }

  /** One stream, from its opening to its end. Resolves with why it ended. */
  async #follow(): Promise<string> {
    try {
      const token = await this.#calls.token();
      if (this.#stopping.signal.aborted) return "stopped";
      const client = this.#calls.link.client();
      const { path, encode, decode } = watchMethod;
      const stream = client.makeBidiStreamRequest(path, encode, decode, metadataWith(token));
      const reason = await this.#read(stream, client);
      if (faultOfStatus(status.UNKNOWN, reason).kind === "token") this.#calls.forgetToken();
      return reason;
    } catch (cause) {
      return portErrorOf(cause).message;
    }
  }

  #read(stream: Stream, client: Client): Promise<string> {
    return new Promise((resolve) => {
      const silence = new Silence((request) => stream.write(request), (reason) => end(reason, "away"));
      const reading: Reading = { fromRevision: this.#seen, delta: 0, fence: null, isOver: false };
      const end = (reason: string, kind: string): void => {
        reading.isOver = true;
        silence.stop();
        stream.cancel();
        if (kind === "away" || kind === "untrusted") this.#calls.link.leave(client);
        resolve(reason);
      };
      this.#cancel = () => end("stopped", "stopped");
      stream.on("data", (response: WatchResponse) => {
        silence.heard(response);
        if (reading.isOver) return;
        const over = this.#accept(response, reading, (reason) => end(reason, "over"));
        if (over !== null) end(over, "over");
      });
      stream.on("error", (error) => {
        const fault = faultOf(error);
        // More than one message holds, at once: a listing comes in pages.
        end(fault.kind === "too-large" ? "compacted" : fault.message, fault.kind);
      });
      stream.on("end", () => end("the stream ended", "away"));
      stream.write(this.#request());
    });
  }

  #request(): WatchRequest {
    return {
      create: {
        key: this.#prefix,
        rangeEnd: rangeEndOf(this.#prefix),
        startRevision: this.#seen + 1,
        progressNotify: true,
      },
    };
  }

  /** Why the stream is over, null when it goes on. */
  #accept(response: WatchResponse, reading: Reading, over: (reason: string) => void): string | null {
    const { header, created, canceled, compactRevision, cancelReason, events, watchId } = response;
    this.#cluster ??= header.clusterId;
    if (compactRevision > 0 || this.#cluster !== header.clusterId) return "compacted";
    if (canceled) return cancelReason === "" ? "the watch was cancelled" : cancelReason;
    if (created && this.#isLost) void this.#catchUp(reading, over);
    for (const changes of changesOf(events, this.#keyPrefix)) {
      if (this.#stopping.signal.aborted) return null;
      this.#seen = changes.revision;
      this.#listener(changes);
    }
    reading.delta += countDelta(events);
    // A notification of etcd's own accord comes after all events up to its revision.
    const isProgress = events.length === 0 && !created && watchId >= 0;
    if (isProgress) this.#seen = Math.max(this.#seen, header.revision);
    this.#resume(reading);
    return null;
  }

  /** The stream is open again: finds out how far it has to come. */
  async #catchUp(reading: Reading, over: (reason: string) => void): Promise<void> {
    try {
      const fence = await readFence(this.#calls, this.#prefix, reading.fromRevision);
      if (fence === "compacted") return over("compacted");
      reading.fence = fence;
      this.#resume(reading);
    } catch (cause) {
      over(portErrorOf(cause).message);
    }
  }

  #resume({ fence, delta, isOver }: Reading): void {
    if (!this.#isLost || fence === null || isOver) return;
    if (!isCaughtUp(fence, this.#seen, delta)) return;
    this.#isLost = false;
    this.#attempt = 0;
    this.#listener({ kind: "resumed" });
  }
}

/** What one stream has told so far. */
interface Reading {
  readonly fromRevision: number;
  /** Keys created less keys deleted. */
  delta: number;
  /** Null until it is known how far the stream has to come. */
  fence: Fence | null;
  isOver: boolean;
}
