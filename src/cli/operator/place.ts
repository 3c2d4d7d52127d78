/**
 * Where the fleet of an operator's command is: read from the configuration of any of its programs.
 */
import type { KeyRing } from "../../core/key-id.js";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import { findConfig, loadFleetConfig, type FleetConfig } from "../config/load.js";
import { targetOf } from "../config/registry.js";
import type { Shell } from "../shell.js";

export interface FleetPlace {
  /** The file that named the fleet, as a full path. */
  readonly file: string;
  readonly registry: RegistryTarget;
  readonly coordination: "barrier" | "pairwise";
  readonly ring: KeyRing;
  readonly config: FleetConfig;
}

/**
 * @param given what `--config` named; without it `SPINDLE_CONFIG` says
 * @throws CliError CONFIG_NOT_GIVEN, CONFIG_UNREADABLE, CONFIG_INVALID
 */
export async function findFleet(given: string | undefined, env: Shell["env"]): Promise<FleetPlace> {
  const { file, config } = await loadFleetConfig(findConfig(given, env));
  const { coordination, keyFile } = config.config;
  const registry =
    config.kind === "agent" ? config.config.registry : targetOf(config.config.registry);
  return { file, registry, coordination, ring: keyFile.ring, config };
}
