/** What every Kubernetes object has, and where ours live. */
import { z } from "zod";
import { PortError } from "../../port-error.js";

const kubeObjectSchema = z.object({
  metadata: z.object({
    name: z.string(),
    uid: z.string().default(""),
    resourceVersion: z.string(),
    generation: z.number().default(0),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
  spec: z.unknown().optional(),
  status: z.unknown().optional(),
  data: z.unknown().optional(),
  /** Of a Secret whose content may not change. */
  immutable: z.boolean().optional(),
});

export type KubeObject = z.infer<typeof kubeObjectSchema>;

/** @throws PortError REGISTRY_PROTOCOL: whoever answers is no API server */
export function kubeObjectOf(value: unknown): KubeObject {
  const result = kubeObjectSchema.safeParse(value);
  if (result.success) return result.data;
  throw new PortError("REGISTRY_PROTOCOL", "an answer of the API server is no object", true);
}

/**
 * A version as a number. Kubernetes 1.35 promises what has always been so: versions are whole
 * numbers that grow with each write.
 * @throws PortError REGISTRY_PROTOCOL
 */
export function versionOf(resourceVersion: string): number {
  const version = /^\d{1,15}$/.test(resourceVersion) ? Number(resourceVersion) : 0;
  if (version > 0) return version;
  throw new PortError("REGISTRY_PROTOCOL", "a resource version is no number", true);
}

export type Resource =
  | "spindlenodes"
  | "spindlereports"
  | "spindlefleets"
  | "spindlerotations"
  | "spindlelinks"
  | "spindlelinkreports"
  | "spindlelinkrequests";

export const apiGroup = "spindle.dev";
export const apiVersion = `${apiGroup}/v1alpha1`;

export function resourcePath(namespace: string, resource: Resource): string {
  return `/apis/${apiVersion}/namespaces/${encodeURIComponent(namespace)}/${resource}`;
}

export const leaseOfApi = { apiVersion: "coordination.k8s.io/v1", kind: "Lease" } as const;

export function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
}

export const nodesPath = "/api/v1/nodes";

export function nodePath(name: string): string {
  return `${nodesPath}/${encodeURIComponent(name)}`;
}

export function configMapsPath(namespace: string): string {
  return `/api/v1/namespaces/${encodeURIComponent(namespace)}/configmaps`;
}
