/**
 * One path to a peer as it is found, and what that leaves to do: compares what should exist with what was read back. Looked
 * at for every peer that something happened to, so nothing is made here but the view. Invariants: an outbound policy
 * selects only an SA that was read back and recorded; an outbound SA with a recorded key is never added a second time (S4).
 */
import { includesKey, type KeyId, type KeyIdentity } from "../key-id.js";
import type { AddressFamily, NodeName, RosterEntry } from "../node.js";
import { inboundAction, uncoveredAction } from "../policy-level.js";
import type { PathProof } from "../probe.js";
import type { Report } from "../report.js";
import type { PolicyAction } from "../sa.js";
import { keyIdOf } from "../spi.js";
import { isCovered, type Context } from "./context.js";
import { isOfSameLives, type CheckpointNode } from "./durable.js";
import type { HeldPolicy } from "./held.js";
import { noPeerKernel, type Observation, type PeerKernel } from "./observation.js";
import { families, findPolicy, hasSa, isOfSender, leadsTo, networksBetween, type Networks } from "./path.js";
import { lacksProof, staysOn } from "./proof.js";

export interface PeerInputs {
  readonly entry: RosterEntry | undefined;
  readonly kernel: PeerKernel;
  readonly report: Report | undefined;
  /** As it is on disk, not as it should be. */
  readonly recorded: CheckpointNode | undefined;
  /** Of probes to it, whichever life and key they were about. */
  readonly proofs: readonly PathProof[];
}

const noProofs: readonly PathProof[] = [];

export function inputsOf(
  observation: Pick<Observation, "roster" | "kernel" | "reports" | "saved" | "proofs">,
  name: NodeName,
  recorded = observation.saved.checkpoint.get(name),
): PeerInputs {
  return {
    entry: observation.roster.entries.get(name),
    kernel: observation.kernel.peers.get(name) ?? noPeerKernel,
    report: observation.reports.get(name),
    recorded,
    proofs: observation.proofs.get(name) ?? noProofs,
  };
}

export interface PathView {
  readonly family: AddressFamily;
  readonly networks: Networks;
  /** Held keys whose inbound SA is not there. */
  readonly absent: readonly KeyIdentity[];
  /** The inbound policy is there: without it nothing is received, whatever the SAs. */
  readonly accepts: boolean;
  /** What the inbound policy is to do; null for no policy. */
  readonly inbound: PolicyAction | null;
  /** What the outbound policy does while no key is selected; null for no policy. */
  readonly uncovered: PolicyAction | null;
  /** The outbound policy lets packets go plain. */
  readonly isPlain: boolean;
  /** The inbound policy is not that of the level. Either kind accepts what was decrypted. */
  readonly isOffLevel: boolean;
  /**
   * The key that the outbound policy selects, null when it selects none or an SA of another lifetime. At level `accept`
   * packets go plain; what counts is the key that they would go with.
   */
  readonly sending: KeyId | null;
  readonly outbound: Outbound;
}

/** What is to be done about sending. */
export interface Outbound {
  /** A policy that keeps packets back, or lets them go plain, comes first: what is selected now may not be. */
  readonly blocks: boolean;
  readonly selects: KeyIdentity | null;
  /** To be selected as soon as a probe with it is answered. */
  readonly proves: KeyIdentity | null;
  readonly adds: KeyIdentity | null;
  /** An SA that was recorded as sent with is gone: only a new incarnation may follow. */
  readonly lost: boolean;
}

const noKeys: readonly KeyIdentity[] = [];
const nothing: Outbound = { blocks: false, selects: null, proves: null, adds: null, lost: false };
const blocked: Outbound = { ...nothing, blocks: true };

export function viewPaths(context: Context, entry: RosterEntry, inputs: PeerInputs): readonly PathView[] {
  const views: PathView[] = [];
  for (const family of families) {
    for (const networks of networksBetween(context.self, entry, family)) {
      views.push(viewPath(context, entry, inputs, family, networks));
    }
  }
  return views;
}

function viewPath(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  family: AddressFamily,
  networks: Networks,
): PathView {
  const { kernel } = inputs;
  const accept = leading(findPolicy(kernel.policies, "in", entry, family, networks), entry, family, networks);
  const policy = leading(findPolicy(kernel.policies, "out", entry, family, networks), entry, family, networks);
  const sending = selectedKey(context, entry, inputs, family, policy);
  const found = accept?.action.kind;
  const isPlain = policy?.action.kind === "pass";
  const inbound = inboundAction(beginsClosed(context, entry, inputs.report, isPlain || sending !== null) ? "require" : context.level);
  // Not even on the way to its key: what is slow then would be plain when the others are at `require`.
  const uncovered = uncoveredAction(context.isClosing && !isPlain ? "require" : context.level);
  return {
    family,
    networks,
    absent: absentKeys(context, entry, kernel, family),
    accepts: found === "accept" || found === "accept-any",
    inbound,
    uncovered,
    isPlain,
    isOffLevel: found !== inbound?.kind,
    sending,
    outbound: viewOutbound(context, entry, inputs, family, uncovered, policy, sending),
  };
}

/**
 * A pair that carries nothing yet while the fleet closes begins as it would at `require`: what began plain then could be cut
 * off by a controller that had not heard of it.
 */
function beginsClosed(context: Context, entry: RosterEntry, report: Report | undefined, isOpen: boolean): boolean {
  if (!context.isClosing || isOpen) return false;
  return !context.candidates.some((key) => isCovered(context, entry, report, key));
}

/** One that leads to whoever had the network before is as good as none. */
function leading(
  policy: HeldPolicy | undefined,
  entry: RosterEntry,
  family: AddressFamily,
  networks: Networks,
): HeldPolicy | undefined {
  return policy !== undefined && leadsTo(policy.action, entry, family, networks) ? policy : undefined;
}

export function hasWork(context: Context, { absent, isOffLevel, outbound }: PathView): boolean {
  const { blocks, selects, adds } = outbound;
  if (isOffLevel || blocks || selects !== null || adds !== null) return true;
  return absent.length > 0 && absent.some((key) => includesKey(context.installable, key));
}

function absentKeys(
  context: Context,
  entry: RosterEntry,
  kernel: PeerKernel,
  family: AddressFamily,
): readonly KeyIdentity[] {
  let absent: KeyIdentity[] | null = null;
  for (const key of context.hold) {
    if (!hasSa(context, entry, kernel, family, "in", key.keyId)) (absent ??= []).push(key);
  }
  return absent ?? noKeys;
}

function selectedKey(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  family: AddressFamily,
  policy: HeldPolicy | undefined,
): KeyId | null {
  const { kernel } = inputs;
  if (policy?.action.kind === "pass" && context.level === "accept") return readyKey(context, entry, inputs, family);
  if (policy?.action.kind !== "protect") return null;
  const { spi } = policy.action;
  const keyId = keyIdOf(spi);
  const isOurs = isOfSender(context, entry, "out", spi);
  return isOurs && hasSa(context, entry, kernel, family, "out", keyId) ? keyId : null;
}

/** The key that a policy may select: the best covered one, else the oldest. */
function readyKey(
  context: Context,
  entry: RosterEntry,
  { kernel, report, recorded }: PeerInputs,
  family: AddressFamily,
): KeyId | null {
  const isReady = (key: KeyIdentity): boolean =>
    hasSa(context, entry, kernel, family, "out", key.keyId) && isRecorded(context, entry, recorded, key);
  const best = context.candidates.find((key) => isCovered(context, entry, report, key));
  const ready = best !== undefined && isReady(best) ? best : context.hold.find(isReady);
  return ready?.keyId ?? null;
}

function viewOutbound(
  context: Context,
  entry: RosterEntry,
  inputs: PeerInputs,
  family: AddressFamily,
  uncovered: PolicyAction | null,
  policy: HeldPolicy | undefined,
  sending: KeyId | null,
): Outbound {
  const { kernel, report, recorded } = inputs;
  const used = heldKey(context, sending);
  const wanted = chooseKey(context, entry, report, used);
  const isReady = wanted !== null && hasSa(context, entry, kernel, family, "out", wanted.keyId);
  const isKnown = wanted !== null && isRecorded(context, entry, recorded, wanted);
  const blocks = used === null && policy?.action.kind !== uncovered?.kind;
  if (wanted !== null && isReady && isKnown) {
    const isPlain = policy?.action.kind === "pass";
    const isDone = wanted.keyId === sending && isPlain === (context.level === "accept");
    if (isDone) return nothing;
    const begins = policy === undefined && uncovered?.kind === "pass";
    const isUnproven = lacksProof(context, entry, inputs, family, staysOn(context, used, isPlain || begins), wanted);
    return isUnproven ? { ...nothing, blocks, proves: wanted } : { ...nothing, selects: wanted };
  }
  if (wanted === null || isReady) return blocks ? blocked : nothing;
  const adds = !isKnown && includesKey(context.installable, wanted) ? wanted : null;
  return { ...nothing, blocks, adds, lost: isKnown };
}

function heldKey(context: Context, keyId: KeyId | null): KeyIdentity | null {
  for (const key of context.hold) if (key.keyId === keyId) return key;
  return null;
}

/** The best covered candidate; otherwise what is in use goes on while it is held. */
function chooseKey(
  context: Context,
  entry: RosterEntry,
  report: Report | undefined,
  used: KeyIdentity | null,
): KeyIdentity | null {
  for (const key of context.candidates) if (isCovered(context, entry, report, key)) return key;
  return used;
}

function isRecorded(
  context: Context,
  entry: RosterEntry,
  recorded: CheckpointNode | undefined,
  key: KeyIdentity,
): boolean {
  if (recorded === undefined || !isOfSameLives(context.self, entry, recorded)) return false;
  return includesKey(recorded.sentWith, key);
}
