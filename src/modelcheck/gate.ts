/**
 * Doors around the ports of one simulated program: deliveries of each stream, plans and reports wait until a move of a
 * counterexample lets them through. While it is open everything passes.
 */
import { fail, succeed } from "../core/result.js";
import type { Done } from "../ports/failure.js";
import type { KernelPort } from "../ports/kernel.js";
import type { IncarnationId, NodeName } from "../core/node.js";
import type { RegistryPort } from "../ports/registry.js";
import { streams, type Stream } from "./registry.js";

interface Waiting {
  readonly plan: { readonly run: () => void; readonly lose: () => void; readonly runStages: (count: number) => void } | null;
  readonly report: { readonly run: () => void; readonly lose: () => void } | null;
}

const lost = { code: "REGISTRY_UNREACHABLE", message: "lost on its way", retryable: true };
const rebooted = { code: "DATAPLANE_UNREACHABLE", message: "rebooted meanwhile", retryable: true };

export class Gate {
  /** The node whose agent it is around; null for a controller, which gets all reports. */
  readonly #node: string | null;
  readonly #queues: Record<Stream, (() => void)[]> = { roster: [], reports: [], fleet: [], request: [] };
  /** Asks the registry for a new listing. */
  readonly #relist = new Map<Stream, () => void>();
  readonly #ownRecords = new Set<unknown>();
  #dataplane: (() => void)[] = [];
  #waiting: Waiting = { plan: null, report: null };
  #isOpen: boolean;
  #clearsRequest = false;
  /** Nodes whose leases this controller sees unchanged. */
  readonly #missed = new Set<NodeName>();
  #beat = 0;

  constructor(node: string | null, isOpen: boolean) {
    this.#node = node;
    this.#isOpen = isOpen;
  }

  close(): void {
    this.#isOpen = false;
  }

  /** Lets everything through that waits, and all that comes. */
  open(): void {
    this.#isOpen = true;
    this.readAll();
    this.noticeReboot();
    this.apply();
    this.publish();
  }

  /** @returns false when fewer events wait */
  read(stream: Stream, count: number): boolean {
    const events = this.#queues[stream].splice(0, count);
    for (const deliver of events) deliver();
    return events.length === count;
  }

  /** @returns false when nothing waited */
  readAll(): boolean {
    const waiting = streams.filter((stream) => this.#queues[stream].length > 0);
    for (const stream of waiting) this.read(stream, this.#queues[stream].length);
    return waiting.length > 0;
  }

  loseEvents(stream: Stream): boolean {
    this.#missed.clear();
    this.#queues[stream] = [];
    this.#relist.get(stream)?.();
    return this.#relist.has(stream);
  }

  miss(node: NodeName): void {
    this.#missed.add(node);
  }

  /** @returns false when it was not missed */
  hear(node: NodeName): boolean {
    return this.#missed.delete(node);
  }

  apply(): boolean {
    const { plan } = this.#waiting;
    this.#waiting = { ...this.#waiting, plan: null };
    plan?.run();
    return plan !== null;
  }

  /** The kernel carries out so much of the plan, and nobody hears of it. */
  applyStages(count: number): boolean {
    this.#waiting.plan?.runStages(count);
    return count === 0 || this.#waiting.plan !== null;
  }

  publish(): boolean {
    const { report } = this.#waiting;
    this.#waiting = { ...this.#waiting, report: null };
    report?.run();
    return report !== null;
  }

  loseReport(): boolean {
    const { report } = this.#waiting;
    this.#waiting = { ...this.#waiting, report: null };
    report?.lose();
    return report !== null;
  }

  /** The agent hears that the dataplane began a new life; its plan has failed. */
  noticeReboot(): boolean {
    const changes = this.#dataplane;
    this.#dataplane = [];
    if (changes.length === 0) return false;
    const { plan } = this.#waiting;
    this.#waiting = { ...this.#waiting, plan: null };
    plan?.lose();
    for (const change of changes) change();
    return true;
  }

  kernel(kernel: KernelPort): KernelPort {
    return {
      ...kernel,
      apply: (stages, recognise, done) => {
        const run = (): void => kernel.apply(stages, recognise, done);
        const runStages = (count: number): void => kernel.apply(stages.slice(0, count), recognise, () => undefined);
        if (this.#isOpen) run();
        else this.#waiting = { ...this.#waiting, plan: { run, runStages, lose: () => done(fail(rebooted)) } };
      },
      watch: (changed) =>
        kernel.watch((change) => {
          if (this.#isOpen || change === "connected") changed(change);
          else this.#dataplane.push(() => changed(change));
        }),
    };
  }

  registry(registry: RegistryPort): RegistryPort {
    return {
      ...registry,
      publishReport: (report, done) => {
        const run = (): void => registry.publishReport(report, done);
        if (this.#isOpen) run();
        else this.#waiting = { ...this.#waiting, report: { run, lose: () => done(fail(lost)) } };
      },
      writeFleet: (record, version, done) => {
        this.#ownRecords.add(record);
        registry.writeFleet(record, version, done);
      },
      clearRequest: (id, done) => {
        this.#clearsRequest = true;
        registry.clearRequest(id, this.#afterClearing(done));
      },
      watchRoster: (listener) => this.#watch("roster", registry.watchRoster, listener),
      watchReports: (listener) => this.#watch("reports", registry.watchReports, listener),
      watchFleet: (listener) => this.#watch("fleet", registry.watchFleet, listener),
      watchRequest: (listener) => this.#watch("request", registry.watchRequest, listener),
    };
  }

  /** A controller's leases of these nodes are as the moves say, whoever renews them. */
  leases(registry: RegistryPort, nodes: readonly NodeName[]): RegistryPort {
    return {
      ...registry,
      listLeases: (done) => {
        this.#beat += 1;
        const seen = nodes.filter((name) => !this.#missed.has(name));
        done(succeed(seen.map((name) => ({ name, incarnationId: "" as IncarnationId, beat: this.#beat }))));
      },
    };
  }

  /** As in the model, who cleared a request sees at once that it is gone. */
  #afterClearing(done: Done<null>): Done<null> {
    return (result) => {
      this.read("request", this.#queues.request.length);
      done(result);
    };
  }

  #watch<E>(stream: Stream, watch: (listener: (event: E) => void) => () => void, listener: (event: E) => void): () => void {
    const hear = (event: E): void => {
      if (this.#isOpen || this.#passes(stream, event)) listener(event);
      else this.#queues[stream].push(() => listener(event));
    };
    let stop = watch(hear);
    this.#relist.set(stream, () => {
      stop();
      stop = watch(hear);
    });
    return () => stop();
  }

  /** What tells the program nothing new: its own report, and its own record when nothing older is on its way. */
  #passes(stream: Stream, event: unknown): boolean {
    const { item, object } = event as { item?: { node?: string }; object?: { value: unknown } };
    if (stream === "reports") return this.#node !== null && item?.node === this.#node;
    if (stream === "request") return this.#clearsRequest && object?.value === null;
    return stream === "fleet" && this.#queues.fleet.length === 0 && this.#ownRecords.has(object?.value);
  }
}
