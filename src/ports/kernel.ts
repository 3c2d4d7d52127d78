/** The dataplane: the kernel's XFRM, or the userspace ESP process. */
import type { Probe, ProbeOutcome } from "../core/probe.js";
import type { KeyRef, Operation, PolicyView, SaSlot, SaView } from "../core/sa.js";
import type { XfrmCounters } from "../core/xfrm-counters.js";
import type { Done, Stop } from "./failure.js";

/** What one lifetime of dataplane state is bound to. If any of it changed, outbound state may be gone. */
export interface DataplaneIdentity {
  readonly bootId: string;
  readonly networkNamespace: string;
  /** Differs for each start of a userspace dataplane; constant for the kernel of one boot. */
  readonly instance: string;
}

export interface KernelDump {
  readonly identity: DataplaneIdentity;
  /** Only ours: foreign SAs and policies are never listed and never touched. */
  readonly sas: readonly SaView[];
  readonly policies: readonly PolicyView[];
  readonly counters: XfrmCounters;
}

/** Code of an operation whose slot holds what is not ours: it is left alone (S6). */
export const slotForeign = "DATAPLANE_SLOT_FOREIGN";

export interface FailedOperation {
  readonly operation: Operation;
  readonly code: string;
  readonly message: string;
}

/**
 * What was read back after the operations, never what was sent. Of a slot that the plan touched and that is absent from
 * `sas` or `policies`, nothing exists.
 */
export interface ApplyOutcome {
  readonly sas: readonly SaView[];
  readonly policies: readonly PolicyView[];
  readonly failed: readonly FailedOperation[];
}

/** Says which key an SA of ours should have, or null when no known node explains it. */
export type Recognise = (slot: SaSlot) => KeyRef | null;

export interface KernelPort {
  /**
   * Runs the stages in order; a stage starts when the one before it succeeded in full. Fails as a whole only when the
   * dataplane cannot be reached; single operations that fail are listed in the outcome.
   */
  apply(stages: readonly (readonly Operation[])[], recognise: Recognise, done: Done<ApplyOutcome>): void;
  dump(recognise: Recognise, done: Done<KernelDump>): void;
  /**
   * Sends one packet for each probe, encrypted by the outbound SA of its SPI whatever the peer's policy selects, and waits
   * `limits.probeMsMax` for the answers. The packets leave in their turn between plans and dumps; what they needed for
   * that is gone before the next one. Outcomes are in the order of the probes. Absent where the dataplane cannot do it.
   */
  probe?(probes: readonly Probe[], done: Done<readonly ProbeOutcome[]>): void;
  /**
   * Is everything plain to be blocked, over the networks that the node's configuration names? In force before anything that is
   * asked for later, and put right at each dump. Absent where a dataplane has no such networks.
   */
  setGuard?(isWanted: boolean): void;
  /** Tells when the dataplane came, went or was changed by someone else: a reason to dump again. */
  watch(changed: (reason: "connected" | "disconnected" | "foreign-change") => void): Stop;
}
