/** `spindle status`: where the fleet stands, in one line and its exceptions; or the SAs of one node with its peers. */
import { Command, Option } from "commander";
import { summarizeFleet } from "../../core/fleet/summary.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { addFleetOptions } from "../operator/flags.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { formatSummary, summaryJson } from "../operator/summary-text.js";
import { watchStatus } from "../operator/watch-status.js";
import { askSas } from "../ask/ask-sas.js";
import { findConfig, loadAgentConfig } from "../config/load.js";
import { formatSas } from "../operator/sas-text.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface StatusFlags extends FleetFlags, OutputOptions {
  readonly all?: true;
  readonly watch?: true;
  readonly peer?: readonly string[];
}

export function makeCommand(shell: Shell): Command {
  const command = new Command("status")
    .description("show where the fleet stands: one line, then what is not as it should be")
    .option("--all", "with a table of every node")
    .addOption(new Option("--watch", "again whenever it changes, until interrupted"))
    .addOption(new Option("--peer <peer...>", "the SAs of this host's agent with these nodes (names or addresses) instead").conflicts(["all", "watch"]));
  return addOutputOptions(addFleetOptions(command)).action(async (flags: StatusFlags) => {
    if (flags.peer !== undefined) return showSas(flags, flags.peer, shell);
    await withFleet(flags, shell, (fleet) => showStatus(fleet, flags, shell));
  });
}

async function showSas(flags: StatusFlags, peers: readonly string[], shell: Shell): Promise<void> {
  const { config } = await loadAgentConfig(findConfig(flags.config, shell.env));
  const listing = await askSas(config, peers, shell.interrupted());
  await printResult(shell.stdout, formatOf(flags), listing, (wide) => formatSas(listing, shell.stdout, wide));
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
