/** `spindle probe`: has the agent of this host probe its paths, and says which were answered. */
import { Command } from "commander";
import { findConfig, loadAgentConfig } from "../config/load.js";
import { addOutputOptions, formatOf, formatTable, printResult, type Column, type OutputOptions } from "../output.js";
import { askForProbes } from "../ask/ask-probes.js";
import type { CheckedPath } from "../../http/status.js";
import type { Shell } from "../shell.js";

interface Flags extends OutputOptions {
  readonly config?: string;
}

const examples = `
The agent of this host sends one packet to each peer under the key that traffic to it goes with, and the
peer's agent answers. A peer that the agent keeps on the old key, because no probe with the new one was
answered, is told of as well. Exit 1 when a path is not in order.

Examples:
  $ spindle probe --config agent.yaml             all peers
  $ spindle probe --config agent.yaml node-7 -o json`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("probe")
    .description("prove this node's paths to its peers")
    .argument("[peer...]", "names or addresses of nodes (default: all)")
    .option("--config <file>", "the agent's configuration (default: $SPINDLE_CONFIG)")
    .addHelpText("after", examples);
  return addOutputOptions(command).action(async (peers: readonly string[], flags: Flags) => {
    const { config } = await loadAgentConfig(findConfig(flags.config, shell.env));
    const check = await askForProbes(config, peers.length === 0 ? null : peers, shell.interrupted());
    await printResult(shell.stdout, formatOf(flags), check, () => formatTable(columns, check.paths, shell.stdout));
    if (!check.ok) shell.exitWith(1);
  });
}

const columns: readonly Column<CheckedPath>[] = [
  { header: "PEER", cell: ({ peer }) => peer },
  { header: "KEY", cell: ({ keyId }) => `${keyId ?? "-"}`, align: "right" },
  { header: "FAMILY", cell: ({ family }) => family },
  { header: "ROUND TRIP", cell: ({ roundTripMs }) => (roundTripMs === null ? "-" : `${roundTripMs.toFixed(2)} ms`), align: "right" },
  { header: "RESULT", cell: ({ why }, colors) => (why === null ? colors.green("answered") : colors.red(why)) },
];
