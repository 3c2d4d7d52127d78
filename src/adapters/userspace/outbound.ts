/**
 * What happens to a payload on its way out: policy, SA, seal. Nothing leaves unencrypted, and a
 * sequence number is used once: it is taken before the packet is sealed and never given back.
 */
import type { AddressFamily } from "../../core/node.js";
import type { Endpoint } from "../../core/sa.js";
import type { Spi } from "../../core/spi.js";
import type { XfrmCounterName } from "../../core/xfrm-counters.js";
import { sealEsp, splitSequence } from "./esp.js";
import type { PolicyDatabase } from "./policy-database.js";
import type { OutboundSa, SaDatabase } from "./sa-database.js";

/** The databases of one node. `family` is that of its address; a userspace dataplane has one. */
export interface Databases {
  readonly family: AddressFamily;
  readonly sas: SaDatabase;
  readonly policies: PolicyDatabase;
}

export type OutboundVerdict =
  | {
      readonly kind: "sealed";
      readonly spi: Spi;
      readonly sequence: number;
      readonly packet: Buffer;
    }
  | { readonly kind: "blocked"; readonly counter: XfrmCounterName };

/**
 * Next header of the payloads, which are opaque to the dataplane: "experimentation and testing"
 * (RFC 3692). Transport mode: there is no inner IP header. 59 would mark dummy packets (RFC 4303,
 * 2.6).
 */
export const payloadProtocol = 253;

/**
 * Seals `payload` for `remote`. Counters: no policy or a blocking one `XfrmOutPolBlock`; a policy
 * pinned to an absent SA `XfrmOutNoStates`; no sequence number left `XfrmOutStateSeqError` (RFC
 * 4303, 3.3.3: it must not cycle).
 */
export function sealPayload(
  databases: Databases,
  remote: Endpoint,
  payload: Buffer,
): OutboundVerdict {
  const action = databases.policies.find({
    direction: "out",
    family: databases.family,
    remote,
  })?.action;
  if (action?.kind !== "protect") return { kind: "blocked", counter: "XfrmOutPolBlock" };
  const sa = databases.sas.outbound(action.spi, remote);
  if (sa === undefined) return { kind: "blocked", counter: "XfrmOutNoStates" };
  if (sa.sequence >= Number.MAX_SAFE_INTEGER)
    return { kind: "blocked", counter: "XfrmOutStateSeqError" };
  return sealWith(sa, payload);
}

function sealWith(sa: OutboundSa, payload: Buffer): OutboundVerdict {
  sa.sequence += 1;
  const { spi } = sa.slot;
  const sequence = splitSequence(sa.sequence);
  const packet = sealEsp(sa.key.reveal(), { spi, sequence, nextHeader: payloadProtocol, payload });
  sa.packets += 1;
  return { kind: "sealed", spi, sequence: sa.sequence, packet };
}
