/**
 * What the notification groups send. An SA that is added or deleted comes with its key bytes, so
 * the receiver wipes the buffer after reading. Messages of kinds that Spindle does not follow are null.
 */
import { structBytes, xfrmAttribute, xfrmMessage } from "./constants.js";
import type { ListedPolicy, ListedSa, Notification } from "./model.js";
import { readPolicy, readPolicyInfo } from "./policy.js";
import { readAttributes, type ReceivedMessage } from "./received.js";
import { readSa, readSaInfo } from "./sa.js";

export function readNotification({ type, payload }: ReceivedMessage): Notification | null {
  switch (type) {
    case xfrmMessage.newSa:
      return withSa("sa-added", readSa(payload));
    case xfrmMessage.updateSa:
      return withSa("sa-updated", readSa(payload));
    case xfrmMessage.deleteSa:
      return withSa("sa-deleted", readDeletedSa(payload));
    case xfrmMessage.newPolicy:
      return withPolicy("policy-added", readPolicy(payload));
    case xfrmMessage.updatePolicy:
      return withPolicy("policy-updated", readPolicy(payload));
    case xfrmMessage.deletePolicy:
      return withPolicy("policy-deleted", readDeletedPolicy(payload));
    case xfrmMessage.expire:
      return readSaExpiry(payload);
    case xfrmMessage.policyExpire:
      return readPolicyExpiry(payload);
    case xfrmMessage.flushSas:
      return { kind: "sas-flushed" };
    case xfrmMessage.flushPolicies:
      return { kind: "policies-flushed" };
    default:
      return null;
  }
}

function withSa(
  kind: "sa-added" | "sa-updated" | "sa-deleted",
  sa: ListedSa | null,
): Notification | null {
  return sa === null ? null : { kind, sa };
}

function withPolicy(
  kind: "policy-added" | "policy-updated" | "policy-deleted",
  policy: ListedPolicy | null,
): Notification | null {
  return policy === null ? null : { kind, policy };
}

/** A deletion has the id first, and the SA as it was in an attribute. */
function readDeletedSa(payload: Uint8Array): ListedSa | null {
  const attributes = readAttributes(payload, structBytes.saId);
  const info = attributes.get(xfrmAttribute.sa);
  if (info === undefined || info.length < structBytes.saInfo) return null;
  return readSaInfo(info, attributes);
}

function readDeletedPolicy(payload: Uint8Array): ListedPolicy | null {
  const attributes = readAttributes(payload, structBytes.policyId);
  const info = attributes.get(xfrmAttribute.policy);
  if (info === undefined || info.length < structBytes.policyInfo) return null;
  return readPolicyInfo(info, attributes);
}

/** struct xfrm_user_expire: the SA, then whether it is gone (hard) or a warning. */
function readSaExpiry(payload: Uint8Array): Notification | null {
  if (payload.length < structBytes.saExpire) return null;
  const sa = readSaInfo(payload, readAttributes(payload, structBytes.saExpire));
  return { kind: "sa-expired", sa, hard: payload[structBytes.saInfo] !== 0 };
}

function readPolicyExpiry(payload: Uint8Array): Notification | null {
  if (payload.length < structBytes.policyExpire) return null;
  const policy = readPolicyInfo(payload, readAttributes(payload, structBytes.policyExpire));
  const hard = payload[structBytes.policyInfo] !== 0;
  return policy === null ? null : { kind: "policy-expired", policy, hard };
}
