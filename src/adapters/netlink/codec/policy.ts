/**
 * Policies on the wire: struct xfrm_userpolicy_info, its templates, and what deletes or asks for one.
 * `PolicyEncoder` writes the commonest of them faster and is checked against this.
 */
import { addressBytes, readAddress, writeAddress } from "./address.js";
import type { MessageBatch } from "./batch.js";
import {
  actionNumber,
  addressFamilyNumber,
  directionNumber,
  modeNumber,
  netlinkFlag,
  structBytes,
  xfrmAttribute,
  xfrmMessage,
} from "./constants.js";
import type {
  ListedPolicy,
  ListedTemplate,
  PolicyDirection,
  XfrmPolicy,
  XfrmPolicySlot,
  XfrmTemplate,
} from "./model.js";
import { readAttributes, readWord, viewOf, type Attributes } from "./received.js";
import {
  appendIfId,
  familyOf,
  modeOf,
  readSelector,
  writeNoLimits,
  writeSaId,
  writeSelector,
} from "./structures.js";

/** Offsets in struct xfrm_userpolicy_info. */
export const policyOffset = {
  limits: 56,
  priority: 152,
  index: 156,
  direction: 160,
  action: 161,
} as const;

/** Offsets in struct xfrm_user_tmpl. */
export const templateOffset = {
  family: 24,
  source: 28,
  reqid: 44,
  mode: 48,
  optional: 50,
  algorithms: 52,
} as const;

/** `add` fails with EEXIST where the slot is taken; `set` makes or replaces, in one atomic change. */
export type PolicyVerb = "add" | "set";

const verbs = {
  add: {
    type: xfrmMessage.newPolicy,
    flags: netlinkFlag.request | netlinkFlag.create | netlinkFlag.exclusive,
  },
  set: { type: xfrmMessage.updatePolicy, flags: netlinkFlag.request },
} as const;

export function appendPolicy(batch: MessageBatch, verb: PolicyVerb, policy: XfrmPolicy): void {
  batch.beginMessage(verbs[verb].type, verbs[verb].flags);
  const start = batch.reserve(structBytes.policyInfo);
  const { bytes, view } = batch;
  writeSelector(batch, start, policy.selector);
  writeNoLimits(view, start + policyOffset.limits);
  view.setUint32(start + policyOffset.priority, policy.priority, true);
  bytes[start + policyOffset.direction] = directionNumber[policy.direction];
  bytes[start + policyOffset.action] = actionNumber[policy.verdict];
  appendTemplates(batch, policy.templates);
  appendIfId(batch, policy.ifId);
  batch.endMessage();
}

function appendTemplates(batch: MessageBatch, templates: readonly XfrmTemplate[]): void {
  if (templates.length === 0) return;
  const size = structBytes.template * templates.length;
  const start = batch.reserveAttribute(xfrmAttribute.templates, size);
  templates.forEach((template, index) =>
    writeTemplate(batch, start + structBytes.template * index, template),
  );
}

function writeTemplate(batch: MessageBatch, start: number, template: XfrmTemplate): void {
  const { bytes, view } = batch;
  writeSaId(batch, start, { ...template, spi: template.spi ?? 0 });
  view.setUint16(start + templateOffset.family, addressFamilyNumber[template.family], true);
  writeAddress(bytes, start + templateOffset.source, template.family, template.source);
  view.setUint32(start + templateOffset.reqid, template.reqid, true);
  bytes[start + templateOffset.mode] = modeNumber[template.mode];
  bytes[start + templateOffset.optional] = template.optional ? 1 : 0;
  // Any authentication, encryption and compression algorithm: the SA's own counts.
  for (let at = 0; at < 12; at += 4) {
    view.setUint32(start + templateOffset.algorithms + at, 0xffff_ffff, true);
  }
}

export function appendDeletePolicy(batch: MessageBatch, slot: XfrmPolicySlot): void {
  appendPolicyId(batch, xfrmMessage.deletePolicy, slot);
}

/** Asks for one policy. */
export function appendGetPolicy(batch: MessageBatch, slot: XfrmPolicySlot): void {
  appendPolicyId(batch, xfrmMessage.getPolicy, slot);
}

/** Asks for all policies, whoever made them. */
export function appendDumpPolicies(batch: MessageBatch): void {
  batch.beginMessage(xfrmMessage.getPolicy, netlinkFlag.request | netlinkFlag.dump);
  batch.endMessage();
}

/** struct xfrm_userpolicy_id: selector 56, index 4 (0: by selector), direction 1. */
function appendPolicyId(batch: MessageBatch, type: number, slot: XfrmPolicySlot): void {
  batch.beginMessage(type, netlinkFlag.request);
  const start = batch.reserve(structBytes.policyId);
  writeSelector(batch, start, slot.selector);
  batch.bytes[start + 60] = directionNumber[slot.direction];
  appendIfId(batch, slot.ifId);
  batch.endMessage();
}

/**
 * Payload of a dump, of an answer to `appendGetPolicy`, or of a notification. Null when it is too
 * short, and for a policy of a single socket, which is no business of ours.
 */
export function readPolicy(payload: Uint8Array): ListedPolicy | null {
  if (payload.length < structBytes.policyInfo) return null;
  return readPolicyInfo(payload, readAttributes(payload, structBytes.policyInfo));
}

export function readPolicyInfo(info: Uint8Array, attributes: Attributes): ListedPolicy | null {
  const view = viewOf(info);
  const direction = directionOf(info[policyOffset.direction]!);
  if (direction === null) return null;
  return {
    direction,
    selector: readSelector(info, 0),
    verdict: info[policyOffset.action] === actionNumber.block ? "block" : "allow",
    priority: view.getUint32(policyOffset.priority, true),
    index: view.getUint32(policyOffset.index, true),
    ifId: readWord(attributes.get(xfrmAttribute.ifId)),
    hasMark: attributes.has(xfrmAttribute.mark),
    templates: readTemplates(attributes.get(xfrmAttribute.templates)),
  };
}

function directionOf(number: number): PolicyDirection | null {
  switch (number) {
    case directionNumber.in:
      return "in";
    case directionNumber.out:
      return "out";
    case directionNumber.forward:
      return "forward";
    default:
      return null;
  }
}

function readTemplates(bytes: Uint8Array = new Uint8Array()): readonly ListedTemplate[] {
  const count = Math.floor(bytes.length / structBytes.template);
  return Array.from({ length: count }, (_, index) =>
    readTemplate(
      bytes.subarray(structBytes.template * index, structBytes.template * (index + 1)),
    ),
  );
}

function readTemplate(bytes: Uint8Array): ListedTemplate {
  const view = viewOf(bytes);
  const family = familyOf(view.getUint16(templateOffset.family, true));
  const spi = view.getUint32(addressBytes);
  return {
    family,
    source: readAddress(bytes, templateOffset.source, family),
    destination: readAddress(bytes, 0, family),
    spi: spi === 0 ? null : spi,
    protocol: bytes[addressBytes + 4]!,
    reqid: view.getUint32(templateOffset.reqid, true),
    mode: modeOf(bytes[templateOffset.mode]!),
    optional: bytes[templateOffset.optional] !== 0,
  };
}

/** The same for what the kernel finds the same policy by, but for an `if_id`. */
export function slotTextOf({ direction, selector }: XfrmPolicySlot): string {
  const { source, destination, protocol, sourcePort, destinationPort } = selector;
  const ends = `${source.address}/${source.length} ${destination.address}/${destination.length}`;
  return `${direction} ${ends} ${protocol} ${sourcePort} ${destinationPort}`;
}
