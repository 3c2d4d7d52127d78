/** `spindle agent`: the per-host program. */
import { Command } from "commander";
import { findConfig, loadAgentConfig } from "../config/load.js";
import { runAgent } from "../daemon/agent.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  return new Command("agent")
    .description("run the agent of one node until SIGTERM; its SAs and policies stay when it ends")
    .option("--config <file>", "configuration file (default: $SPINDLE_CONFIG)")
    .option("--record <file>", "append all that reaches it and what it does to a file; no secret is in it")
    .action(async (options: { config?: string; record?: string }) => {
      const { config, warnings } = await loadAgentConfig(findConfig(options.config, shell.env));
      await runAgent(config, warnings, shell.interrupted(), options.record ?? null);
    });
}
