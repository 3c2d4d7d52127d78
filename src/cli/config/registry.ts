/**
 * The registry section of both programs' files: which kind the fleet's store is, and where. An
 * agent connects; a controller may keep the embedded registry itself.
 */
import { join } from "node:path";
import { z } from "zod";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { checkPlace, placeFields, toServiceAddress, type Remark } from "./sections.js";

/** One controller of a fleet keeps the embedded registry (`serve`), every other one connects to it. */
export type ControllerRegistryConfig =
  | { readonly role: "serve"; readonly kind: "embedded"; readonly address: ServiceAddress }
  | { readonly role: "connect"; readonly target: RegistryTarget };

const kindField = z.enum(["embedded"]).default("embedded");

export const agentRegistrySection = z.strictObject({ kind: kindField, ...placeFields });

export const controllerRegistrySection = z
  .strictObject({
    kind: kindField,
    listen: z.strictObject(placeFields).optional(),
    connect: z.strictObject(placeFields).optional(),
  })
  .prefault({});

type AgentSection = z.output<typeof agentRegistrySection>;
type ControllerSection = z.output<typeof controllerRegistrySection>;

export function checkAgentRegistry(section: AgentSection, folder: string): readonly Remark[] {
  return checkPlace(section, ["registry"], folder);
}

/** @param section one that `checkAgentRegistry` found nothing wrong with */
export function toAgentTarget(section: AgentSection, folder: string): RegistryTarget {
  return { kind: section.kind, address: toServiceAddress(section, folder) };
}

export function checkControllerRegistry(
  { listen, connect }: ControllerSection,
  folder: string,
): readonly Remark[] {
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
  { kind, listen, connect }: ControllerSection,
  folder: string,
  stateDir: string,
): ControllerRegistryConfig {
  if (connect !== undefined) {
    return { role: "connect", target: { kind, address: toServiceAddress(connect, folder) } };
  }
  const place = listen ?? { socket: join(stateDir, "registry.sock") };
  return { role: "serve", kind, address: toServiceAddress(place, folder) };
}

/** Where others reach the registry that a controller's file names. */
export function targetOf(registry: ControllerRegistryConfig): RegistryTarget {
  if (registry.role === "connect") return registry.target;
  return { kind: registry.kind, address: registry.address };
}
