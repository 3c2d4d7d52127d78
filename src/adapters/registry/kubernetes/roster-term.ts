/** One term of the roster's leader: see roster-leader.ts. */
import { limits } from "../../../core/limits.js";
import type { NodeName } from "../../../core/node.js";
import type { Log } from "../../../ports/log.js";
import { admit, dismiss } from "../admission.js";
import { fleetKey, reportPrefix, rosterPrefix } from "../keys.js";
import type { KvItem } from "../kv.js";
import { pause } from "../backoff.js";
import { portErrorOf } from "../settle.js";
import { AdmissionAnswers, type Verdict } from "./admission-answers.js";
import type { ApiClient } from "./api-client.js";
import { collectionOf } from "./collections.js";
import { resourcePath, type KubeObject, type Resource } from "./kube-object.js";
import { listObjects } from "./list-objects.js";
import { Departures, isMass } from "./departures.js";
import { NodeLeases } from "./node-leases.js";
import { NodeWriter, overtaken } from "./node-writer.js";
import { ObjectReader } from "./object-reader.js";
import { registrationSchema } from "./object-schemas.js";
import { decode, decodeOrThrow } from "../records.js";
import { fleetRecordSchema, rosterRecordSchema } from "../schemas.js";
import { notBehind, readLedger, writeLedger, type GivenOut } from "./roster-ledger.js";
import { RosterDesk } from "./roster-desk.js";
import { restoreNulls, structuralSchema } from "./structural-schema.js";
import { watchStream, type ObjectChange } from "./watch-stream.js";

const registration = structuralSchema(registrationSchema);

export interface RosterOptions {
  /** Every node of the fleet is a Node of this cluster. */
  readonly followNodes: boolean;
  /** Between two sweeps. */
  readonly sweepMs: number;
}
export class RosterTerm {
  readonly #client: ApiClient;
  readonly #log: Log;
  readonly #options: RosterOptions;
  readonly #signal: AbortSignal;
  readonly #nodes: NodeWriter;
  readonly #reports = new Map<string, KubeObject>();
  readonly #answers: AdmissionAnswers;
  readonly #leases: NodeLeases;
  /** Names to decide upon, oldest first. */
  readonly #open = new Set<string>();
  /** Changes of SpindleNodes that may be others'. */
  readonly #news: ObjectChange[] = [];
  /** Not taken off the roster although nobody asks for them. */
  #held = new Set<string>();
  #ledgerVersion = "";
  #wake: () => void = () => undefined;

  constructor(client: ApiClient, log: Log, options: RosterOptions, signal: AbortSignal) {
    this.#client = client;
    this.#options = options;
    this.#log = log;
    this.#signal = signal;
    this.#nodes = new NodeWriter(client);
    this.#answers = new AdmissionAnswers(client);
    this.#leases = new NodeLeases(client);
  }

  /** Until stopped. @throws PortError for whatever went wrong first */
  async run(): Promise<void> {
    const { desk, nodesVersion, reportsVersion } = await this.#begin();
    const ending = new AbortController();
    const signal = AbortSignal.any([this.#signal, ending.signal]);
    const watch = (resource: Resource, version: string, see: (seen: ObjectChange) => void) =>
      this.#watch(resource, version, see, signal);
    try {
      await Promise.race([
        watch("spindlenodes", nodesVersion, (seen) => this.#news.push(seen)),
        watch("spindlereports", reportsVersion, (seen) => this.#seeReport(seen)),
        this.#decide(desk, signal),
        this.#sweep(desk, signal),
      ]);
    } finally {
      ending.abort();
      this.#wake();
    }
  }

  async #begin(): Promise<{ desk: RosterDesk; nodesVersion: string; reportsVersion: string }> {
    const before = await this.#nodes.load();
    const stored = await readLedger(this.#client, before.entries.length === 0);
    for (const intent of stored.ledger.intents) await this.#nodes.complete(intent);
    const { listing, entries } = await this.#nodes.load();
    const reports = await listObjects(this.#client, this.#pathOf("spindlereports"));
    for (const object of reports.objects) this.#reports.set(object.metadata.name, object);
    const names = entries.map(({ key }) => key.slice(rosterPrefix.length));
    for (const name of [...names, ...this.#reports.keys()]) this.#open.add(name);
    this.#hold(names);
    const ledger = notBehind(stored.ledger, await this.#givenOut(entries));
    const desk = new RosterDesk(ledger, entries, {
      reports: () => this.#reportItems(),
      fleet: () => this.#fleetItem(),
    });
    // From now on nobody who led before can announce anything.
    await this.#writeLedger(stored.version, desk);
    return { desk, nodesVersion: listing.version, reportsVersion: reports.version };
  }

  /** @throws PortError REGISTRY_RECORD_INVALID for a fleet record of another version: what it promises is not known */
  async #givenOut(entries: readonly KvItem[]): Promise<GivenOut> {
    const fleet = await this.#fleetItem();
    const promised = fleet === null ? [] : decodeOrThrow(fleetRecordSchema, fleet).through.map((mark) => mark.revision);
    const indices = new Set<number>();
    for (const entry of entries) {
      const decoded = decode(rosterRecordSchema, entry);
      if (decoded.kind === "valid") indices.add(decoded.value.index);
    }
    return { revision: Math.max(this.#nodes.lastRevision, ...promised), indices };
  }

  /** Most of the fleet is gone at a single look: rather a lost collection than a real departure. */
  #hold(names: readonly string[]): void {
    const missing = names.filter((name) => !this.#reports.has(name));
    if (!isMass(missing.length, names.length)) return;
    this.#held = new Set(missing);
    const fields = { code: "ROSTER_DELETIONS_HELD", missing: missing.length, known: names.length };
    this.#log.write("error", "most SpindleReports are gone, their nodes stay on the roster", fields);
  }

  async #decide(desk: RosterDesk, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#judgeNews(desk);
      const names = [...this.#open].slice(0, limits.rosterIntentsMax);
      if (names.length === 0) {
        await this.#sleep(signal);
        continue;
      }
      const verdicts: Verdict[] = [];
      for (const name of names) {
        this.#open.delete(name);
        const verdict = await this.#decideOn(desk, name as NodeName);
        if (verdict !== null) verdicts.push(verdict);
      }
      await this.#flush(desk);
      await this.#answers.send(verdicts);
    }
  }

  /** What departed nodes left; their removal is then decided upon like any other. A sweep that fails ends no term. */
  async #sweep(desk: RosterDesk, signal: AbortSignal): Promise<void> {
    const departures = new Departures(this.#client, this.#leases, this.#log);
    const { followNodes, sweepMs } = this.#options;
    for (;;) {
      await pause(sweepMs, signal);
      if (signal.aborted) return;
      try {
        const known = new Map<string, string | undefined>(desk.names().map((name) => [name, undefined]));
        for (const [name, { metadata }] of this.#reports) known.set(name, metadata.resourceVersion);
        await departures.sweep(known, followNodes);
      } catch (cause) {
        const { code, message } = portErrorOf(cause);
        if (!signal.aborted) this.#log.write("warn", "departed nodes not looked for", { code, why: message });
      }
    }
  }

  async #decideOn(desk: RosterDesk, name: NodeName): Promise<Verdict | null> {
    const report = this.#reports.get(name);
    const isKnown = desk.entryOf(name) !== undefined;
    if (isKnown && (report === undefined || !this.#nodes.has(name))) {
      if (this.#held.has(name) && this.#nodes.has(name)) return null;
      await dismiss(desk, name, this.#signal);
      await this.#leases.forget(name);
    }
    if (report === undefined) return null;
    this.#held.delete(name);
    const parsed = registrationSchema.safeParse(restoreNulls(registration, report.spec));
    const failed = (code: string, why: string): Verdict => ({ report, code, why });
    if (!parsed.success) return failed("REGISTRY_RECORD_INVALID", "its spec cannot be read");
    try {
      const { incarnationId, addresses } = parsed.data;
      const entry = await admit(desk, { name, incarnationId, addresses }, this.#signal);
      return { report, code: null, why: `index ${entry.index}, revision ${entry.revision}` };
    } catch (cause) {
      const { code, message } = portErrorOf(cause);
      return failed(code, message);
    }
  }

  async #flush(desk: RosterDesk): Promise<void> {
    if (desk.waiting === 0) return;
    const { revision, intents } = await this.#writeLedger(this.#ledgerVersion, desk);
    for (const intent of intents) await this.#nodes.write(intent);
    await this.#nodes.dropMarks(revision);
  }

  async #writeLedger(
    version: string,
    desk: RosterDesk,
  ): Promise<ReturnType<RosterDesk["announce"]>> {
    const ledger = desk.announce();
    const written = await writeLedger(this.#client, version, ledger);
    if (written === null) throw overtaken("the roster's ledger");
    this.#ledgerVersion = written;
    return ledger;
  }

  /** Between writes, when what this leader wrote itself is known. */
  async #judgeNews(desk: RosterDesk): Promise<void> {
    for (const { kind, object } of this.#news.splice(0)) {
      const name = object.metadata.name as NodeName;
      if (kind === "bookmark" || !this.#nodes.isNews(object)) continue;
      const entry = desk.entryOf(name);
      const fields = { code: "ROSTER_CHANGED_BY_HAND", node: name };
      if (kind === "removed") {
        this.#nodes.forget(name);
        if (entry === undefined) continue;
        this.#log.write("warn", "SpindleNode deleted by somebody else", fields);
        this.#open.add(name);
        continue;
      }
      this.#log.write("warn", "SpindleNode changed by somebody else, set back", fields);
      this.#nodes.learn(object);
      await this.#setBack(entry, name);
    }
  }

  async #setBack(entry: KvItem | undefined, name: NodeName): Promise<void> {
    if (entry === undefined) return this.#nodes.drop(name);
    const { fault, revision, value } = entry;
    // What this version cannot read it does not write either.
    if (fault === undefined) await this.#nodes.write({ name, revision, record: JSON.parse(value) });
  }

  #seeReport({ kind, object }: ObjectChange): void {
    const { name, generation, uid } = object.metadata;
    if (kind === "bookmark") return;
    const before = this.#reports.get(name)?.metadata;
    if (kind === "removed") this.#reports.delete(name);
    else this.#reports.set(name, object);
    // Reports proper, which come all the time, change nothing here.
    if (kind === "put" && before?.generation === generation && before.uid === uid) return;
    this.#open.add(name);
    this.#wake();
  }

  async #watch(
    resource: Resource,
    from: string,
    see: (seen: ObjectChange) => void,
    signal: AbortSignal,
  ): Promise<void> {
    let version = from;
    const change = (seen: ObjectChange): void => {
      version = seen.object.metadata.resourceVersion;
      see(seen);
      this.#wake();
    };
    for (;;) {
      const query = { watch: "1", resourceVersion: version, allowWatchBookmarks: "true" };
      const request = { method: "GET", path: this.#pathOf(resource), query } as const;
      const options = { idleMs: limits.kubernetesIdleMsMax, change };
      if ((await watchStream(this.#client, request, options, signal)) === "gap") {
        throw overtaken("a part of the history");
      }
    }
  }

  #sleep(signal: AbortSignal): Promise<void> {
    if (signal.aborted || this.#open.size + this.#news.length > 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  #pathOf(resource: Resource): string {
    return resourcePath(this.#client.namespace, resource);
  }

  #reportItems(): readonly KvItem[] {
    const collection = collectionOf(reportPrefix);
    return [...this.#reports.values()].flatMap((object) => {
      const seen = collection?.see(object) ?? null;
      return seen === null || seen.value === null ? [] : [{ ...seen, value: seen.value }];
    });
  }

  async #fleetItem(): Promise<KvItem | null> {
    const { items } = await new ObjectReader(this.#client).range(fleetKey);
    return items[0] ?? null;
  }
}
