/** `spindle lab-gateway` (hidden): a program of a lab of gateways. It ends, and what it started, when the lab is gone. */
import { Command } from "commander";
import { runEcho } from "../../lab/gateways/echo.js";
import { runPings } from "../../lab/gateways/pings.js";
import { runRelay } from "../../lab/gateways/relay.js";
import { runTriggerFirst } from "../../lab/gateways/trigger-first.js";
import { holdLeash } from "../../lab/fleet/leash.js";
import { findConfig, loadHubConfig, loadSiteConfig } from "../config/load.js";
import { runHub } from "../daemon/gateway-hub.js";
import { runSite } from "../daemon/gateway-site.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  const leashed = async (run: (signal: AbortSignal) => Promise<void>): Promise<void> => {
    const released = new AbortController();
    holdLeash(process.stdin, { released: () => released.abort() });
    // An open pipe would keep a program alive that could not start.
    await run(AbortSignal.any([shell.interrupted(), released.signal])).finally(() => process.stdin.destroy());
  };
  return new Command("lab-gateway")
    .argument("<program>", "hub, site, relay, trigger-first, echo or pings")
    .argument("<settings>", "a configuration file, or settings as JSON")
    .action(async (program: string, settings: string) => {
      if (program === "hub") {
        const { config } = await loadHubConfig(findConfig(settings, shell.env));
        return leashed((signal) => runHub(config, signal));
      }
      if (program === "site") {
        const { config } = await loadSiteConfig(findConfig(settings, shell.env));
        return leashed((signal) => runSite(config, signal, false));
      }
      const run = { echo: runEcho, pings: runPings, relay: runRelay, "trigger-first": runTriggerFirst }[program];
      if (run === undefined) throw new Error(`no program ${program}`);
      return leashed((signal) => run(JSON.parse(settings) as never, signal));
    });
}
