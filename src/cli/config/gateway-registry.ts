/** The registry sections of hub and site: those of controller and agent, without the kind that holds no VPN links. */
import { z } from "zod";
import type { GatewayTarget, RegistryTarget } from "../../adapters/registry/connect.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { assert } from "../../core/assert.js";
import { agentRegistrySection, controllerRegistrySection, type ControllerRegistryConfig } from "./registry.js";

const kind = z.enum(["embedded", "etcd"]).default("embedded");

export const siteRegistrySection = agentRegistrySection.omit({ kubernetes: true }).extend({ kind });

export const hubRegistrySection = controllerRegistrySection
  .unwrap()
  .omit({ kubernetes: true })
  .extend({ kind })
  .prefault({});

/** One hub keeps the embedded registry (`serve`); others connect, as sites do. */
export type HubRegistryConfig =
  | { readonly role: "serve"; readonly address: ServiceAddress }
  | { readonly role: "connect"; readonly target: GatewayTarget };

export function toHubRegistry(registry: ControllerRegistryConfig): HubRegistryConfig {
  if (registry.role === "serve") return { role: "serve", address: registry.address };
  return { role: "connect", target: toGatewayTarget(registry.target) };
}

/** Where sites and commands reach the registry that a hub's file names. */
export function hubTargetOf(registry: HubRegistryConfig): GatewayTarget {
  return registry.role === "connect" ? registry.target : { kind: "embedded", address: registry.address };
}

export function toGatewayTarget(target: RegistryTarget): GatewayTarget {
  assert(target.kind !== "kubernetes", "the section has no such kind");
  return target;
}
