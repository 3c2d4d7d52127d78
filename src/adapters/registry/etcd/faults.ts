/**
 * What etcd's status codes and texts mean. The texts are those of etcd v3.4 to v3.6
 * (api/v3rpc/rpctypes/error.go); one that is unknown is a fault of the way, which is tried again.
 */
import { status, type ServiceError } from "@grpc/grpc-js";
import { PortError } from "../../port-error.js";

export type FaultKind =
  /** The member cannot be reached, has no leader or answers too late: another may do. */
  | "away"
  /** TLS found no trust, in either direction: another member may be in order. */
  | "untrusted"
  /** The token is not known to the member any more. */
  | "token"
  | "denied"
  /** Asked for history that is compacted, or for a future that this store does not have. */
  | "compacted"
  | "too-large"
  | "busy"
  | "full"
  | "cancelled";

export interface Fault {
  readonly kind: FaultKind;
  readonly message: string;
  /** It certainly did nothing. */
  readonly isUnsent: boolean;
}

const byText: readonly (readonly [RegExp, FaultKind])[] = [
  [/^No connection established.*(certificate|SSL routines|altnames|EPROTO)/s, "untrusted"],
  [/invalid auth token|auth store is old|user name is empty/, "token"],
  [/permission denied|authentication failed|invalid user ID|authentication is not enabled/, "denied"],
  [/required revision (has been compacted|is a future revision)/, "compacted"],
  [/request is too large|larger than max/, "too-large"],
  [/database space exceeded/, "full"],
  [/too many requests/, "busy"],
];

/** Nothing was asked yet: no connection, or a member that refuses at its door. */
const unsent = /^No connection established|etcdserver: no leader/;

/** @throws cause itself when it is none of gRPC's errors: then it is our own bug */
export function faultOf(cause: unknown): Fault {
  const { code, details } = cause as Partial<ServiceError>;
  if (code === undefined || details === undefined) throw cause;
  return faultOfStatus(code, details);
}

export function faultOfStatus(code: status, details: string): Fault {
  const message = details.replace(/\s*Resolution note:.*$/s, "").replaceAll(/\s+/g, " ");
  const known = byText.find(([pattern]) => pattern.test(details));
  const kind = known?.[1] ?? kindOf(code);
  return { kind, message, isUnsent: kind !== "away" || unsent.test(details) };
}

function kindOf(code: status): FaultKind {
  if (code === status.CANCELLED) return "cancelled";
  if (code === status.UNAUTHENTICATED || code === status.PERMISSION_DENIED) return "denied";
  return code === status.RESOURCE_EXHAUSTED ? "busy" : "away";
}

/** @param at which member, for people */
export function toPortError({ kind, message }: Fault, at: string): PortError {
  switch (kind) {
    case "away":
    case "compacted":
      return unreachable(at, message);
    case "untrusted":
      return new PortError("REGISTRY_TLS_FAILED", `etcd at ${at}: ${message}`, true);
    case "token":
    case "denied":
      return new PortError("REGISTRY_DENIED", `etcd at ${at} refuses: ${message}`, true);
    case "too-large":
      return new PortError("REGISTRY_RECORD_TOO_LARGE", `etcd at ${at}: ${message}`, false);
    case "busy":
      return new PortError("REGISTRY_BUSY", `etcd at ${at}: ${message}`, true);
    case "full":
      return new PortError("REGISTRY_STORE_FULL", `etcd at ${at}: ${message}`, true);
    case "cancelled":
      return closedError();
  }
}

export function unreachable(at: string, why: string): PortError {
  return new PortError("REGISTRY_UNREACHABLE", `etcd at ${at} cannot be reached: ${why}`, true);
}

export function closedError(): PortError {
  return new PortError("REGISTRY_CLOSED", "the registry was closed", false);
}
