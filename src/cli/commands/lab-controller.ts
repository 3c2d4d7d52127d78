/**
 * `spindle lab-controller` (hidden): `spindle controller`, tied to the lab that started it by its
 * standard input.
 */
import { Command } from "commander";
import { holdLeash } from "../../lab/fleet/leash.js";
import { loadControllerConfig } from "../config/load.js";
import { runController } from "../daemon/controller.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  return new Command("lab-controller")
    .description("run a controller for `spindle lab`")
    .requiredOption("--config <file>", "configuration file")
    .option("--record <file>", "where to append a recording")
    .action(async (options: { config: string; record?: string }) => {
      const { config, warnings } = await loadControllerConfig(options.config);
      const released = new AbortController();
      holdLeash(process.stdin, { released: () => released.abort() });
      const signal = AbortSignal.any([shell.interrupted(), released.signal]);
      // An open pipe would keep a program alive that could not start.
      await runController(config, warnings, signal, options.record ?? null).finally(() => process.stdin.destroy());
    });
}
