/**
 * Where the fleet of an operator's command is: read from the configuration of any of its programs.
 */
import type { KeyRing } from "../../core/key-id.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { findConfig, loadFleetConfig, type FleetConfig } from "../config/load.js";
import type { Shell } from "../shell.js";

export interface FleetPlace {
  /** The file that named the fleet, as a full path. */
  readonly file: string;
  readonly address: ServiceAddress;
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
  const { registry, coordination, keyFile } = config.config;
  return { file, address: registry.address, coordination, ring: keyFile.ring, config };
}
