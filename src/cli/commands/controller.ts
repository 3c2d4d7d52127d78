/** `spindle controller`: the fleet-wide program. */
import { Command } from "commander";
import { findConfig, loadControllerConfig } from "../config/load.js";
import { runController } from "../daemon/controller.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  return new Command("controller")
    .description("run a controller, and the embedded registry with it, until SIGTERM")
    .option("--config <file>", "configuration file (default: $SPINDLE_CONFIG)")
    .option("--record <file>", "append all that reaches it and what it does to a file; no secret is in it")
    .action(async (options: { config?: string; record?: string }) => {
      const { config, warnings } = await loadControllerConfig(findConfig(options.config, shell.env));
      await runController(config, warnings, shell.interrupted(), options.record ?? null);
    });
}
