/** Lease objects (coordination.k8s.io/v1), whose own duration knows whole seconds only. */
import { leaseOfApi, type KubeObject } from "./kube-object.js";

const durationAnnotation = "spindle.dev/lease-milliseconds";

export interface LeaseMetadata {
  readonly name: string;
  readonly resourceVersion?: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** `renewTime` is shown by kubectl and makes each renewal a change; nobody reckons with it. */
export function leaseObject(metadata: LeaseMetadata, holder: string, leaseMs: number): unknown {
  const annotations = { [durationAnnotation]: String(leaseMs) };
  return {
    ...leaseOfApi,
    metadata: { ...metadata, annotations },
    spec: {
      holderIdentity: holder,
      leaseDurationSeconds: Math.max(1, Math.ceil(leaseMs / 1_000)),
      renewTime: microTime(),
    },
  };
}

/** Null when somebody else's client wrote it. */
export function leaseMsOf({ metadata }: KubeObject): number | null {
  const milliseconds = Number(metadata.annotations[durationAnnotation]);
  return Number.isFinite(milliseconds) && milliseconds > 0 ? milliseconds : null;
}

/** The wall clock with the six digits that Lease wants; the last three make renewals differ. */
function microTime(): string {
  const micros = String(Number(process.hrtime.bigint() / 1_000n) % 1_000).padStart(3, "0");
  return new Date().toISOString().replace("Z", `${micros}Z`);
}
