/**
 * All that one agent knows, kept in place and handed to the step as an observation. It remembers which peers changed
 * since the last step, so that a step costs what changed. It decides nothing.
 */
import { assert } from "../core/assert.js";
import type { FleetRecord, OperatorRequest } from "../core/fleet/record.js";
import { includesKey, type KeyId, type KeyIdentity } from "../core/key-id.js";
import { limits } from "../core/limits.js";
import { modeOf, type IncarnationId, type NodeName, type RosterEntry, type RosterRevision } from "../core/node.js";
import { endsOf } from "../core/node-ends.js";
import { type PersistentMap } from "../core/persistent-map.js";
import { isOfSamePath, type PathProof, type Probe, type ProbeOutcome } from "../core/probe.js";
import type { Report } from "../core/report.js";
import { emptyRoster, type Roster } from "../core/roster.js";
import type { CheckpointNode, DurableState } from "../core/rotation/durable.js";
import type { EffectKind } from "../core/rotation/effect.js";
import { familyOf } from "../core/rotation/held.js";
import type { HeldBack, Observation, ObservedKernel } from "../core/rotation/observation.js";
import { endpointKey, type Endpoint, type KeyEnd, type KeyRef, type Operation, type SaSlot, type SaView } from "../core/sa.js";
import { keyIdOf, splitSpi } from "../core/spi.js";
import { countErrors, type XfrmCounters } from "../core/xfrm-counters.js";
import type { ApplyOutcome, FailedOperation, KernelDump } from "../ports/kernel.js";
import type { SingleEvent, WatchEvent } from "../ports/registry.js";
import type { DataplaneChange } from "./agent-input.js";
import { backoffMs } from "./backoff.js";
import { CheckpointIndex } from "./checkpoint-index.js";
import { KernelPeers, type Owners } from "./kernel-peers.js";
import type { KeyFigure } from "./key-figures.js";
import { failuresByPeer, takenSpiOf, unexplained } from "./plan-failures.js";
import { addressKeys } from "./slot-keys.js";

type DumpStart = ObservedKernel["recognisedWith"];

export class AgentWorld {
  readonly #self: NodeName;
  readonly #entries = new Map<NodeName, RosterEntry>();
  readonly #byIndex = new Map<number, RosterEntry>();
  readonly #byAddress = new Map<string, NodeName>();
  readonly #reports = new Map<NodeName, Report>();
  readonly #proofs = new Map<NodeName, readonly PathProof[]>();
  readonly #peers = new KernelPeers();
  readonly #ofCheckpoint = new CheckpointIndex();
  readonly heldBack = new Map<NodeName, HeldBack & { readonly attempts: number }>();
  readonly inFlight = new Set<EffectKind>();
  readonly #unreadable = new Set<NodeName>();
  readonly #owners: Owners = {
    isRecorded: (end) => this.#isRecorded(end),
    nameAt: (remote) => this.#nodeNameAt(remote),
  };
  #roster: Roster = { ...emptyRoster, entries: this.#entries, unreadable: this.#unreadable };
  #touched: Set<NodeName> | "all" = "all";
  #kernel: ObservedKernel = {
    identity: null,
    connected: false,
    dumpSerial: 0,
    dumpedAtMs: 0,
    recognisedWith: { rosterComplete: false, selfIncarnationId: null },
    stale: false,
    errors: 0,
    takenSpi: null,
    peers: this.#peers.all,
    counts: this.#peers.counts,
    packetsIn: new Map(),
  };
  #keys: { read: boolean; available: readonly KeyIdentity[]; usable: readonly KeyIdentity[] } = {
    read: false,
    available: [],
    usable: [],
  };
  fleet: { readonly version: number; readonly record: FleetRecord } | null = null;
  request: OperatorRequest | null = null;
  saved: { durable: DurableState; checkpoint: PersistentMap<NodeName, CheckpointNode> };
  guard: boolean | null = null;
  publishedReport: Report | null = null;
  publishedAtMs: number | null = null;
  checkpointSavedAtMs: number | null = null;
  registryConnected = false;
  registryChangedAtMs = 0;
  kernelChangedAtMs = 0;
  counters: XfrmCounters = {};

  constructor(self: NodeName, durable: DurableState, checkpoint: PersistentMap<NodeName, CheckpointNode>) {
    this.#self = self;
    this.saved = { durable, checkpoint };
  }

  /** Another world that knows the same and then goes its own way: a search of all interleavings branches here. */
  copy(): AgentWorld {
    const copy = new AgentWorld(this.#self, this.saved.durable, this.saved.checkpoint);
    copyEntries(this.#entries, copy.#entries);
    copyEntries(this.#byIndex, copy.#byIndex);
    copyEntries(this.#byAddress, copy.#byAddress);
    copyEntries(this.#reports, copy.#reports);
    copyEntries(this.#proofs, copy.#proofs);
    this.#peers.copyTo(copy.#peers);
    copyEntries(this.heldBack, copy.heldBack);
    for (const kind of this.inFlight) copy.inFlight.add(kind);
    for (const name of this.#unreadable) copy.#unreadable.add(name);
    copy.#roster = { ...this.#roster, entries: copy.#entries, unreadable: copy.#unreadable };
    copy.#touched = this.#touched === "all" ? "all" : new Set(this.#touched);
    copy.#kernel = { ...this.#kernel, peers: copy.#peers.all, counts: copy.#peers.counts };
    copy.#keys = this.#keys;
    copy.fleet = this.fleet;
    copy.request = this.request;
    copy.guard = this.guard;
    copy.publishedReport = this.publishedReport;
    copy.publishedAtMs = this.publishedAtMs;
    copy.checkpointSavedAtMs = this.checkpointSavedAtMs;
    copy.registryConnected = this.registryConnected;
    copy.registryChangedAtMs = this.registryChangedAtMs;
    copy.kernelChangedAtMs = this.kernelChangedAtMs;
    copy.counters = this.counters;
    return copy;
  }

  get kernel(): ObservedKernel {
    return this.#kernel;
  }

  /** What passed the SAs of each key. No step reads it. */
  get keyFigures(): readonly KeyFigure[] {
    return this.#peers.figures;
  }

  get roster(): Observation["roster"] {
    return this.#roster;
  }

  get reports(): Observation["reports"] {
    return this.#reports;
  }

  get proofs(): Observation["proofs"] {
    return this.#proofs;
  }

  /** Takes the touched peers: the next observation starts with none. */
  observe(spareIncarnationId: IncarnationId, chance: number): Observation {
    const touched = this.#touched;
    this.#touched = new Set();
    return {
      keys: this.#keys,
      roster: this.#roster,
      reports: this.#reports,
      fleet: this.fleet,
      request: this.request,
      kernel: this.#kernel,
      proofs: this.#proofs,
      saved: this.saved,
      guard: this.guard,
      publishedReport: this.publishedReport,
      publishedAtMs: this.publishedAtMs,
      inFlight: this.inFlight,
      heldBack: this.heldBack,
      touched,
      spareIncarnationId,
      chance,
    };
  }

  touch(names: Iterable<NodeName>): void {
    if (this.#touched === "all") return;
    for (const name of names) this.#touched.add(name);
  }

  touchAll(): void {
    this.#touched = "all";
  }

  offerKeys(keys: readonly KeyIdentity[] | null): void {
    if (keys === null) {
      this.#keys = { ...this.#keys, read: true };
      return;
    }
    const kept = this.#keys.usable.filter((key) => !includesKey(keys, key));
    this.#keys = { read: true, available: keys, usable: [...kept, ...keys] };
  }

  forgetKey(key: KeyIdentity): void {
    this.#keys = { ...this.#keys, usable: this.#keys.usable.filter((one) => one !== key) };
  }

  seeRoster(event: WatchEvent<RosterEntry>): void {
    this.registryConnected = event.kind !== "disconnected";
    switch (event.kind) {
      case "listing":
        this.#replaceRoster(event.items);
        for (const name of event.unreadable ?? []) this.#unreadable.add(name as NodeName);
        break;
      case "put":
        this.#putEntry(event.item);
        break;
      case "removed":
        this.#removeEntry(event.name as NodeName);
        break;
      case "disconnected":
        return;
    }
    const complete = this.#roster.complete || event.kind === "listing";
    this.#roster = { ...this.#roster, complete, revision: event.revision as RosterRevision };
  }

  /** The answer to a registration comes before its event; not to register again in between. */
  seeOwnEntry(entry: RosterEntry): void {
    if ((this.#entries.get(entry.name)?.revision ?? 0) < entry.revision) this.#putEntry(entry);
  }

  #replaceRoster(entries: readonly RosterEntry[]): void {
    this.#entries.clear();
    this.#byIndex.clear();
    this.#byAddress.clear();
    this.#unreadable.clear();
    for (const entry of entries) this.#addEntry(entry);
    for (const name of this.#proofs.keys()) if (!this.#entries.has(name)) this.#proofs.delete(name);
    this.#kernel = { ...this.#kernel, stale: true };
    this.touchAll();
  }

  #putEntry(entry: RosterEntry): void {
    this.#removeEntry(entry.name);
    // A recycled address: what stands there under its former owner's name is read again before it is acted on.
    if (this.#peers.isHeldByAnother(addressKeys(entry), entry.name)) this.#kernel = { ...this.#kernel, stale: true };
    this.#addEntry(entry);
  }

  #addEntry(entry: RosterEntry): void {
    this.#entries.set(entry.name, entry);
    this.#byIndex.set(entry.index, entry);
    for (const key of addressKeys(entry)) this.#byAddress.set(key, entry.name);
  }

  #removeEntry(name: NodeName): void {
    this.touch([name]);
    this.#unreadable.delete(name);
    this.#proofs.delete(name);
    const entry = this.#entries.get(name);
    if (entry === undefined) return;
    this.#entries.delete(name);
    if (this.#byIndex.get(entry.index) === entry) this.#byIndex.delete(entry.index);
    for (const key of addressKeys(entry)) {
      if (this.#byAddress.get(key) === name) this.#byAddress.delete(key);
    }
  }

  seeReports(event: WatchEvent<Report>): void {
    switch (event.kind) {
      case "listing":
        this.#reports.clear();
        for (const report of event.items) this.#reports.set(report.node, report);
        this.touchAll();
        return;
      case "put":
        this.#reports.set(event.item.node, event.item);
        this.touch([event.item.node]);
        return;
      case "removed":
        this.#reports.delete(event.name as NodeName);
        this.touch([event.name as NodeName]);
        return;
      case "disconnected":
        return;
    }
  }

  /** Unlike a request, a fleet record is never taken back: an absent one only means that nobody wrote it yet. */
  seeFleet(event: SingleEvent<FleetRecord>): void {
    if (event.kind === "disconnected" || event.object.value === null) return;
    this.fleet = { version: event.object.version, record: event.object.value };
  }

  seeRequest(event: SingleEvent<OperatorRequest>): void {
    if (event.kind === "value") this.request = event.object.value;
  }

  seeConnection(change: DataplaneChange): void {
    const connected = change !== "disconnected";
    this.#kernel = { ...this.#kernel, connected, stale: this.#kernel.stale || connected };
  }

  /** Which key should be in `slot`, by the roster, else by the checkpoint of nodes that left while we were away. */
  recognise(slot: SaSlot): KeyRef | null {
    const self = this.#entries.get(this.#self);
    const parts = splitSpi(slot.spi);
    if (self === undefined) return null;
    const peer = slot.direction === "in" ? this.#senderOf(parts.index, parts.number) : this.#nodeAt(slot.remote);
    const isOurs = parts.index === self.index && parts.number === self.incarnationNumber;
    if (peer === undefined || (slot.direction === "out" && !isOurs)) return null;
    const [from, to] = slot.direction === "in" ? [peer, self] : [self, peer];
    const mode = modeOf(self.addresses);
    return { keyId: parts.keyId, from: endsOf(from).key, to: endsOf(to).key, family: familyOf(slot.remote), mode };
  }

  #senderOf(index: number, number: number): RosterEntry | undefined {
    const live = this.#byIndex.get(index);
    if (live?.incarnationNumber === number) return live;
    return this.#ofCheckpoint.senderOf(this.saved.checkpoint, index, number);
  }

  #nodeAt(remote: Endpoint): RosterEntry | undefined {
    const name = this.#byAddress.get(endpointKey(remote));
    if (name !== undefined) return this.#entries.get(name);
    return this.#ofCheckpoint.nodeAt(this.saved.checkpoint, remote);
  }

  /**
   * Call when a dump starts: what it is recognised with is what is known now, and a change from here on makes it stale.
   */
  beginDump(): DumpStart {
    const self = this.#entries.get(this.#self);
    this.#kernel = { ...this.#kernel, stale: false };
    return { rosterComplete: this.#roster.complete, selfIncarnationId: self?.incarnationId ?? null };
  }

  /** Touches who has other SAs or policies than before: what only carried packets is as it was. */
  seeDump(dump: KernelDump, start: DumpStart, nowMs: number): void {
    this.touch(this.#peers.replaceAll(dump, this.#owners, nowMs));
    this.#kernel = {
      ...this.#kernel,
      identity: dump.identity,
      connected: true,
      dumpSerial: this.#kernel.dumpSerial + 1,
      dumpedAtMs: nowMs,
      recognisedWith: start,
      packetsIn: this.#packetsIn(dump.sas),
      errors: countErrors(dump.counters),
      takenSpi: null,
    };
    this.counters = dump.counters;
  }

  /** Of departed nodes nothing counts: nobody waits for what they still send. */
  #packetsIn(sas: readonly SaView[]): ReadonlyMap<KeyId, number> {
    const passed = new Map<KeyId, number>();
    for (const { slot, key, packets } of sas) {
      if (slot.direction === "out" || key === null || !this.#entries.has(key.from.name)) continue;
      const keyId = keyIdOf(slot.spi);
      passed.set(keyId, (passed.get(keyId) ?? 0) + packets);
    }
    return passed;
  }

  #isRecorded({ name, index, incarnationId }: KeyEnd): boolean {
    const entry = this.saved.checkpoint.get(name)?.entry;
    return entry?.incarnationId === incarnationId && entry.index === index;
  }

  #nodeNameAt(remote: Endpoint): NodeName {
    return this.#nodeAt(remote)?.name ?? unexplained;
  }

  seeOutcome(peers: readonly NodeName[], operations: readonly Operation[], outcome: ApplyOutcome, nowMs: number): void {
    this.touch(this.#peers.replaceTouched(peers, operations, outcome, this.#owners, nowMs));
    const takenSpi = takenSpiOf(outcome.failed);
    if (takenSpi !== null) this.#kernel = { ...this.#kernel, takenSpi };
  }

  /** The newer outcome replaces the one before on the same path. */
  seeProofs(probes: readonly Probe[], outcomes: readonly ProbeOutcome[], nowMs: number): void {
    assert(probes.length === outcomes.length, "every probe has its outcome");
    for (const [i, outcome] of outcomes.entries()) {
      const probe = probes[i];
      if (probe === undefined || !this.#entries.has(probe.peer)) continue;
      const others = (this.#proofs.get(probe.peer) ?? []).filter((one) => !isOfSamePath(one.probe, probe));
      this.#proofs.set(probe.peer, [...others, { probe, outcome, atMs: nowMs }].slice(-limits.proofsPerPeerMax));
    }
    this.touch(probes.map(({ peer }) => peer));
  }

  /** Peers whose operations failed are not tried again before their time; the others of the plan are free. */
  holdBack(peers: readonly NodeName[], outcome: ApplyOutcome, nowMs: number): void {
    const failures = this.failuresOf(peers, outcome);
    for (const [peer, { code, message }] of failures) {
      const attempts = (this.heldBack.get(peer)?.attempts ?? 0) + 1;
      this.heldBack.set(peer, { code, message, untilMs: nowMs + backoffMs(attempts), attempts });
    }
    for (const peer of peers) if (!failures.has(peer)) this.heldBack.delete(peer);
  }

  failuresOf(peers: readonly NodeName[], outcome: ApplyOutcome): ReadonlyMap<NodeName, FailedOperation> {
    return failuresByPeer(peers, outcome.failed, (operation) => this.#peerOf(operation));
  }

  #peerOf(operation: Operation): NodeName {
    switch (operation.kind) {
      case "install-sa":
        return operation.sa.direction === "in" ? operation.sa.key.from.name : operation.sa.key.to.name;
      case "set-policy":
        return operation.policy.peer;
      case "delete-sa":
        return this.#nodeNameAt(operation.slot.remote);
      case "delete-policy":
        return this.#nodeNameAt(operation.policy.remote);
    }
  }
}

function copyEntries<K, V>(from: ReadonlyMap<K, V>, to: Map<K, V>): void {
  for (const [key, value] of from) to.set(key, value);
}
