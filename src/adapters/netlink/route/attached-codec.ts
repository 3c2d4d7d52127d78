/**
 * What is attached to devices and sees their packets: XDP programs (IFLA_XDP of linux/if_link.h) and filters of
 * traffic control (struct tcmsg of linux/rtnetlink.h; linux/pkt_cls.h).
 */
import type { MessageBatch } from "../codec/batch.js";
import { netlinkFlag } from "../codec/constants.js";
import { readAttributes, readWord, viewOf } from "../codec/received.js";
import { readText } from "./device-codec.js";
import { linkAttribute, routeStructBytes } from "./constants.js";

const getFilters = 46;
const tcmsgBytes = 20;
/** TC_H_CLSACT with TC_H_MIN_INGRESS and TC_H_MIN_EGRESS; `ingress` queueing answers to the first. */
export const filterParents = { in: 0xffff_fff2, out: 0xffff_fff3 } as const;

const linkInformation = { attribute: 18, kind: 1 } as const;
const xdp = { attribute: 43, attached: 2, programId: 4, none: 0, inHardware: 3 } as const;
const filterAttribute = { kind: 1, options: 2 } as const;
/** TCA_BPF_NAME. */
const bpfName = 7;
/** Which of a filter's options has its flags. */
const flagsOf: Readonly<Record<string, number>> = { bpf: 9, flower: 22, u32: 11, matchall: 3 };
/** TCA_CLS_FLAGS_IN_HW. */
const inHardware = 1 << 2;

export interface LinkFacts {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  /** `vxlan`, `bridge`, `veth`, …; null for a plain device. */
  readonly kind: string | null;
  readonly isUp: boolean;
  readonly xdp: { readonly programId: number; readonly isInHardware: boolean } | null;
}

/** A filter of traffic control. */
export interface FilterFacts {
  /** Kind, and the name of a BPF program. */
  readonly name: string;
  readonly isInHardware: boolean;
}

/** IFF_UP. */
const up = 0x1;

/** Null when it is too short. */
export function readLink(payload: Uint8Array): LinkFacts | null {
  if (payload.length < routeStructBytes.link) return null;
  const attributes = readAttributes(payload, routeStructBytes.link);
  const view = viewOf(payload);
  const information = attributes.get(linkInformation.attribute);
  const kind = information === undefined ? undefined : readAttributes(information, 0).get(linkInformation.kind);
  return {
    index: view.getInt32(4, true),
    name: readText(attributes.get(linkAttribute.name)) ?? "",
    mtu: readWord(attributes.get(linkAttribute.mtu)) ?? 0,
    kind: readText(kind),
    isUp: (view.getUint32(8, true) & up) !== 0,
    xdp: readXdp(attributes.get(xdp.attribute)),
  };
}

function readXdp(nested: Uint8Array | undefined): LinkFacts["xdp"] {
  if (nested === undefined) return null;
  const attributes = readAttributes(nested, 0);
  const mode = attributes.get(xdp.attached)?.[0] ?? xdp.none;
  if (mode === xdp.none) return null;
  return { programId: readWord(attributes.get(xdp.programId)) ?? 0, isInHardware: mode === xdp.inHardware };
}

export function appendListFilters(batch: MessageBatch, index: number, parent: number): void {
  batch.beginMessage(getFilters, netlinkFlag.request | netlinkFlag.dump);
  const start = batch.reserve(tcmsgBytes);
  batch.view.setInt32(start + 4, index, true);
  batch.view.setUint32(start + 12, parent, true);
  batch.endMessage();
}

/** Null for the head of a list, which has no handle and filters nothing. */
export function readFilter(payload: Uint8Array): FilterFacts | null {
  const attributes = readAttributes(payload, tcmsgBytes);
  const kind = readText(attributes.get(filterAttribute.kind));
  const options = attributes.get(filterAttribute.options);
  if (kind === null || options === undefined || viewOf(payload).getUint32(8, true) === 0) return null;
  const fields = readAttributes(options, 0);
  const program = kind === "bpf" ? readText(fields.get(bpfName)) : null;
  const flags = readWord(fields.get(flagsOf[kind] ?? 0)) ?? 0;
  return {
    name: program === null ? kind : `${kind} ${program}`,
    isInHardware: (flags & inHardware) !== 0,
  };
}
