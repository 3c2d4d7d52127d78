/**
 * Opens the registry of a fleet for one command: within three seconds, or with a clear word on what
 * to check.
 */
import { connectRegistry, formatTarget, hintForTarget, probeRegistry } from "../../adapters/registry/connect.js";
import { CliError } from "../exit.js";
import type { Shell } from "../shell.js";
import { FleetWatch } from "./fleet-watch.js";
import { findFleet } from "./place.js";
import { waitUntil } from "./wait.js";

const answerWithinMs = 3_000;

export interface FleetFlags {
  readonly config?: string;
}

/**
 * Runs `use` on the fleet that the configuration names, and closes the connection after it.
 * @throws CliError REGISTRY_UNREACHABLE, and those of `findFleet`
 */
export async function withFleet<T>(
  flags: FleetFlags,
  shell: Pick<Shell, "env">,
  use: (fleet: FleetWatch) => Promise<T>,
): Promise<T> {
  const place = await findFleet(flags.config, shell.env);
  const fleet = new FleetWatch(place, await connectRegistry(place.registry));
  try {
    const isWhole = (): true | null => (fleet.isWhole ? true : null);
    const opened = await waitUntil(fleet, isWhole, { timeoutMs: answerWithinMs });
    if (opened.kind !== "reached") throw await unreachable(fleet);
    return await use(fleet);
  } finally {
    fleet.close();
  }
}

async function unreachable({ place, away }: FleetWatch): Promise<CliError> {
  const fault = await probeRegistry(place.registry, answerWithinMs);
  const reason = fault ?? away ?? "it takes connections and answers nothing";
  const at = formatTarget(place.registry);
  return new CliError({
    exitCode: 1,
    code: "REGISTRY_UNREACHABLE",
    message: `the registry at ${at} did not answer within ${answerWithinMs / 1_000} s: ${reason}`,
    details: [`the address is from ${place.file}`],
    hint: hintForTarget(place.registry),
  });
}
