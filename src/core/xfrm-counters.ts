/**
 * The kernel's XFRM error counters (`/proc/net/xfrm_stat`, include/uapi/linux/snmp.h) with the label values that
 * operators of Cilium know (`cilium_ipsec_xfrm_error`). The userspace dataplane keeps those it can meet, with the same
 * meaning.
 */
export const xfrmCounters = {
  XfrmInError: ["inbound", "other"],
  XfrmInBufferError: ["inbound", "no_buffer"],
  XfrmInHdrError: ["inbound", "header"],
  XfrmInNoStates: ["inbound", "no_state"],
  XfrmInStateProtoError: ["inbound", "state_protocol"],
  XfrmInStateModeError: ["inbound", "state_mode"],
  XfrmInStateSeqError: ["inbound", "state_sequence"],
  XfrmInStateExpired: ["inbound", "state_expired"],
  XfrmInStateMismatch: ["inbound", "state_mismatched"],
  XfrmInStateInvalid: ["inbound", "state_invalid"],
  XfrmInTmplMismatch: ["inbound", "template_mismatched"],
  XfrmInNoPols: ["inbound", "no_policy"],
  XfrmInPolBlock: ["inbound", "policy_blocked"],
  XfrmInPolError: ["inbound", "policy"],
  XfrmFwdHdrError: ["inbound", "forward_header"],
  XfrmAcquireError: ["inbound", "acquire"],
  XfrmOutError: ["outbound", "other"],
  XfrmOutBundleGenError: ["outbound", "bundle_generation"],
  XfrmOutBundleCheckError: ["outbound", "bundle_check"],
  XfrmOutNoStates: ["outbound", "no_state"],
  XfrmOutStateProtoError: ["outbound", "state_protocol"],
  XfrmOutStateModeError: ["outbound", "state_mode"],
  XfrmOutStateSeqError: ["outbound", "state_sequence"],
  XfrmOutStateExpired: ["outbound", "state_expired"],
  XfrmOutPolBlock: ["outbound", "policy_blocked"],
  XfrmOutPolDead: ["outbound", "policy_dead"],
  XfrmOutPolError: ["outbound", "policy"],
  XfrmOutStateInvalid: ["outbound", "state_invalid"],
} as const;

export type XfrmCounterName = keyof typeof xfrmCounters;
/** By the kernel's names, those of newer kernels included: each counts packets that were dropped. */
export type XfrmCounters = Readonly<Partial<Record<XfrmCounterName, number>> & Record<string, number>>;

/** The labels of a counter; of one that is not in the table, from its name: `XfrmInNoRoom` is `inbound`, `no_room`. */
export function labelsOf(counter: string): readonly ["inbound" | "outbound", string] {
  if (Object.hasOwn(xfrmCounters, counter)) return xfrmCounters[counter as XfrmCounterName];
  const [, way, rest = ""] = /^Xfrm(In|Out|)(.*)$/.exec(counter) ?? [];
  const words = rest.replace(/(?<=[a-z0-9])(?=[A-Z])/g, "_").toLowerCase();
  return [way === "Out" ? "outbound" : "inbound", words];
}

/** All errors together, in packets. */
export function countErrors(counters: XfrmCounters): number {
  return Object.values(counters).reduce((sum, count) => sum + count, 0);
}
