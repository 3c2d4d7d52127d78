/** The key that the fleet runs, for commands on key files. */
import { recordOf } from "../../core/fleet/summary.js";
import type { KeyIdentity } from "../../core/key-id.js";
import type { Shell } from "../shell.js";
import { withFleet } from "./open-fleet.js";

/**
 * @param configPath what `--config` named, null to look where `SPINDLE_CONFIG` points
 * @returns null without a configuration, and before the fleet has a key
 */
export async function readFleetKey(
  configPath: string | null,
  env: Shell["env"],
): Promise<KeyIdentity | null> {
  if (configPath === null && (env["SPINDLE_CONFIG"] ?? "") === "") return null;
  const flags = configPath === null ? {} : { config: configPath };
  return withFleet(flags, { env }, (fleet) => Promise.resolve(recordOf(fleet.snapshot()).current));
}
