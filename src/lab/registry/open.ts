/** The registry that a lab's options ask for. Each kind is loaded when it is asked for. */
import type { LabLayout } from "../fleet/layout.js";
import type { LabOptions } from "../options.js";
import { embeddedLabRegistry } from "./embedded.js";
import type { LabRegistry } from "./lab-registry.js";

export async function openLabRegistry(
  layout: Pick<LabLayout, "directory" | "registrySocket">,
  { registry, registryEndpoints }: Pick<LabOptions, "registry" | "registryEndpoints">,
): Promise<LabRegistry> {
  if (registry === "embedded") return embeddedLabRegistry(layout.registrySocket);
  if (registry === "kubernetes") {
    const { KubernetesLabRegistry } = await import("./kubernetes.js");
    return new KubernetesLabRegistry(layout.directory);
  }
  const { EtcdLabRegistry } = await import("./etcd.js");
  const { directory } = layout;
  return new EtcdLabRegistry({ directory, endpoints: registryEndpoints, size: 1 });
}
