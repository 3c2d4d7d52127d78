/**
 * What in the kernel is ours (S6): SAs by their reqid, policies by their priority band and the reqid
 * of their templates. Everything else belongs to others and is never listed, changed or deleted.
 */
import { aeadName, protocolEsp } from "../codec/constants.js";
import type { ListedPolicy, ListedSa } from "../codec/model.js";

export interface Ownership {
  /** Carried by every SA of ours and every template of our policies. */
  readonly reqid: number;
  /** Our policies' priorities are from here on, `priorityBand` of them. */
  readonly priority: number;
}

/** High, so that others' policies for the same traffic come first (design 4.1). */
export const defaultOwnership: Ownership = { reqid: 0x5350_0001, priority: 0x5350_0000 };

export const priorityBand = 256;

/**
 * Places in the band, looked at in this order: what always passes, what a probe goes with while it is
 * sent, policies towards and from single peers, and what blocks the rest.
 */
export const bypassPriority = 64;
export const probePriority = 96;
export const peerPriority = 128;
export const blockPriority = 255;

export function isOwnSa(sa: ListedSa, { reqid }: Ownership): boolean {
  return (
    sa.reqid === reqid &&
    sa.protocol === protocolEsp &&
    !sa.hasMark &&
    sa.ifId === null &&
    sa.aead?.name === aeadName
  );
}

export function isOwnPolicy(policy: ListedPolicy, { reqid, priority }: Ownership): boolean {
  return (
    policy.priority >= priority &&
    policy.priority < priority + priorityBand &&
    !policy.hasMark &&
    policy.ifId === null &&
    policy.templates.every((template) => template.reqid === reqid)
  );
}
