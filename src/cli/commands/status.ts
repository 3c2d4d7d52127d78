/** `spindle status`: where the fleet stands, in one line and its exceptions. */
import { Command } from "commander";
import { summarizeFleet } from "../../core/fleet/summary.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { addFleetOptions } from "../operator/flags.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { formatSummary, summaryJson } from "../operator/summary-text.js";
import { watchStatus } from "../operator/watch-status.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface StatusFlags extends FleetFlags, OutputOptions {
  readonly all?: true;
  readonly watch?: true;
}

export function makeCommand(shell: Shell): Command {
  const command = new Command("status")
    .description("show where the fleet stands: one line, then what is not as it should be")
    .option("--all", "with a table of every node")
    .option("--watch", "again whenever it changes, until interrupted");
  return addOutputOptions(addFleetOptions(command)).action(async (flags: StatusFlags) => {
    await withFleet(flags, shell, (fleet) => showStatus(fleet, flags, shell));
  });
}

async function showStatus(fleet: FleetWatch, flags: StatusFlags, shell: Shell): Promise<void> {
  const all = flags.all === true;
  const format = formatOf(flags);
  if (flags.watch === true) return watchStatus(fleet, { format, all, shell });
  const summary = summarizeFleet(fleet.snapshot());
  await printResult(shell.stdout, format, summaryJson(summary, all), (wide) =>
    formatSummary(summary, { stream: shell.stdout, all, wide }),
  );
}
