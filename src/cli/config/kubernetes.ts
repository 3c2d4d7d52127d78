/** The `registry.kubernetes` section of both programs' files: which cluster, and where in it. */
import { resolve } from "node:path";
import { z } from "zod";
import type { KubernetesTarget } from "../../adapters/registry/connect.js";
import type { FieldPath } from "./document.js";
import { pathField } from "./fields.js";
import type { Remark } from "./sections.js";

const namespaceWords = "the name of a namespace: at most 63 of a-z, 0-9 and -";

export const namespaceField = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, { error: `must be ${namespaceWords}` })
  .describe(namespaceWords);

export const kubernetesSection = z
  .strictObject({
    kubeconfig: pathField.optional(),
    context: z.string().min(1).max(256).optional(),
    namespace: namespaceField.optional(),
  })
  .describe("a section, {} inside a pod");

/** Of a controller's file. */
export const leaderKubernetesSection = kubernetesSection.extend({ followNodes: z.boolean().default(false) });

type KubernetesSection = z.output<typeof kubernetesSection> & { readonly followNodes?: boolean };

export function checkKubernetes(
  { kubeconfig, context }: KubernetesSection,
  path: FieldPath,
): readonly Remark[] {
  if (context === undefined || kubeconfig !== undefined) return [];
  return [{ path: [...path, "context"], message: "has no effect without kubeconfig" }];
}

/** @param section one that `checkKubernetes` found nothing wrong with */
export function toKubernetesTarget(section: KubernetesSection, folder: string): KubernetesTarget {
  const { kubeconfig, context = null, namespace = null, followNodes } = section;
  const path = kubeconfig === undefined ? null : resolve(folder, kubeconfig);
  const target = { kind: "kubernetes", kubeconfig: path, context, namespace } as const;
  return followNodes === undefined ? target : { ...target, followNodes };
}
