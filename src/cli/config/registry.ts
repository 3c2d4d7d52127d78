/**
 * The registry section of both programs' files: which kind the fleet's store is, and where. Agents
 * connect to it; a controller may keep the embedded one itself. A kind that runs elsewhere has a
 * section of its name, the same in both files.
 */
import { join } from "node:path";
import { z } from "zod";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { checkEtcd, etcdSection, toEtcdTarget } from "./etcd.js";
import { checkKubernetes, kubernetesSection, leaderKubernetesSection, toKubernetesTarget } from "./kubernetes.js";
import { checkPlace, placeFields, toServiceAddress, type Remark } from "./sections.js";

/** One controller of a fleet keeps the embedded registry (`serve`); others connect, as agents do. */
export type ControllerRegistryConfig =
  | { readonly role: "serve"; readonly kind: "embedded"; readonly address: ServiceAddress }
  | { readonly role: "connect"; readonly target: RegistryTarget };

const kindField = z.enum(["embedded", "etcd", "kubernetes"]).default("embedded");

/** Sections of kinds that run elsewhere. */
const elsewhere = {
  etcd: etcdSection.optional(),
  kubernetes: kubernetesSection.optional(),
};

export const agentRegistrySection = z.strictObject({
  kind: kindField,
  ...placeFields,
  ...elsewhere,
});

const controllerFields = {
  kind: kindField,
  listen: z.strictObject(placeFields).optional(),
  connect: z.strictObject(placeFields).optional(),
  ...elsewhere,
};

export const controllerRegistrySection = z.strictObject(controllerFields).prefault({});

/** Of who keeps the roster where the registry does not do it by itself. */
export const leaderRegistrySection = z
  .strictObject({ ...controllerFields, kubernetes: leaderKubernetesSection.optional() })
  .prefault({});

type AgentSection = z.output<typeof agentRegistrySection>;
type ControllerSection = z.output<typeof controllerRegistrySection>;
type Elsewhere = Pick<AgentSection, "kind" | keyof typeof elsewhere>;

export function checkAgentRegistry(section: AgentSection, folder: string): readonly Remark[] {
  const misplaced = checkKind(section, ["socket", "host", "port"]);
  if (misplaced.length > 0 || section.kind !== "embedded") return misplaced;
  return checkPlace(section, ["registry"], folder);
}

/** @param section one that `checkAgentRegistry` found nothing wrong with */
export function toAgentTarget(section: AgentSection, folder: string): RegistryTarget {
  const target = toTargetElsewhere(section, folder);
  return target ?? { kind: "embedded", address: toServiceAddress(section, folder) };
}

export function checkControllerRegistry(
  section: ControllerSection,
  folder: string,
): readonly Remark[] {
  const misplaced = checkKind(section, ["listen", "connect"]);
  if (misplaced.length > 0) return misplaced;
  const { listen, connect } = section;
  if (listen !== undefined && connect !== undefined) {
    return [
      {
        path: ["registry"],
        message: "has both listen and connect: the registry is served by one controller",
      },
    ];
  }
  if (listen !== undefined) return checkPlace(listen, ["registry", "listen"], folder);
  return connect === undefined ? [] : checkPlace(connect, ["registry", "connect"], folder);
}

/** @param section one that `checkControllerRegistry` found nothing wrong with */
export function toControllerRegistry(
  section: ControllerSection,
  folder: string,
  stateDir: string,
): ControllerRegistryConfig {
  const target = toTargetElsewhere(section, folder);
  if (target !== null) return { role: "connect", target };
  const { listen, connect } = section;
  if (connect !== undefined) {
    const address = toServiceAddress(connect, folder);
    return { role: "connect", target: { kind: "embedded", address } };
  }
  const place = listen ?? { socket: join(stateDir, "registry.sock") };
  return { role: "serve", kind: "embedded", address: toServiceAddress(place, folder) };
}

/** Where others reach the registry that a controller's file names. */
export function targetOf(registry: ControllerRegistryConfig): RegistryTarget {
  if (registry.role === "connect") return registry.target;
  return { kind: registry.kind, address: registry.address };
}

/**
 * What is there must belong to the kind, and the kind's own section must be there.
 * @param embeddedFields those that only the embedded registry has
 */
function checkKind(
  section: Elsewhere & Readonly<Record<string, unknown>>,
  embeddedFields: readonly string[],
): readonly Remark[] {
  const { kind, etcd, kubernetes } = section;
  const others = Object.keys(elsewhere).filter((field) => field !== kind);
  const foreign = kind === "embedded" ? others : [...others, ...embeddedFields];
  const found = foreign.find((field) => section[field] !== undefined);
  if (found !== undefined) {
    return [{ path: ["registry", found], message: `does not go with registry.kind ${kind}` }];
  }
  if (kind === "embedded") return [];
  if (etcd !== undefined) return checkEtcd(etcd, ["registry", "etcd"]);
  if (kubernetes !== undefined) return checkKubernetes(kubernetes, ["registry", "kubernetes"]);
  return [{ path: ["registry", kind], message: `is missing: registry.kind is ${kind}` }];
}

/** Null for the embedded registry. */
function toTargetElsewhere(
  { etcd, kubernetes }: Elsewhere,
  folder: string,
): RegistryTarget | null {
  if (kubernetes !== undefined) return toKubernetesTarget(kubernetes, folder);
  return etcd === undefined ? null : toEtcdTarget(etcd, folder);
}
