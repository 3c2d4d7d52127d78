/** `spindle gateway`: the programs of VPN gateways, and what an operator asks of them. */
import { Command } from "commander";
import { loadHubConfig, loadSiteConfig, findConfig } from "../config/load.js";
import { runHub } from "../daemon/gateway-hub.js";
import { runSite } from "../daemon/gateway-site.js";
import { rotateLinks, type GatewayRotateFlags } from "../gateway/rotate.js";
import { showGatewayStatus } from "../gateway/status.js";
import { durationOption } from "../gateway/flags.js";
import { addOutputOptions, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface ConfigFlag {
  readonly config?: string;
}

const configFlag = ["--config <file>", "configuration file (default: $SPINDLE_CONFIG)"] as const;
const eitherFlag = ["--config <file>", "configuration file of a hub or a site (default: $SPINDLE_CONFIG)"] as const;

const exitCodes = `
Exit codes of status: 0 every link is as it should be; 1 one is not.
Exit codes of rotate: 0 done, or ordered without --wait; 1 it was undone or failed; 4 stopped waiting.`;

export function makeCommand(shell: Shell): Command {
  return new Command("gateway")
    .description("VPN gateways: certificates that rotate without losing a packet")
    .addCommand(hubCommand(shell))
    .addCommand(siteCommand(shell))
    .addCommand(statusCommand(shell))
    .addCommand(rotateCommand(shell))
    .addHelpText("after", exitCodes);
}

function hubCommand(shell: Shell): Command {
  return new Command("hub")
    .description("run the hub, which issues certificates and plans rotations, until SIGTERM")
    .option(...configFlag)
    .action(async (flags: ConfigFlag) => {
      const { config } = await loadHubConfig(findConfig(flags.config, shell.env));
      await runHub(config, shell.interrupted());
    });
}

function siteCommand(shell: Shell): Command {
  return new Command("site")
    .description("run the site program of one end of the links until SIGTERM; its tunnels and routes stay when it ends")
    .option(...configFlag)
    .action(async (flags: ConfigFlag) => {
      const { config } = await loadSiteConfig(findConfig(flags.config, shell.env));
      await runSite(config, shell.interrupted());
    });
}

function statusCommand(shell: Shell): Command {
  const command = new Command("status")
    .description("show every link: its generations, what its sites see, and what is not as it should be")
    .option(...eitherFlag);
  return addOutputOptions(command).action(async (flags: ConfigFlag & OutputOptions) => {
    await showGatewayStatus(flags, shell);
  });
}

function rotateCommand(shell: Shell): Command {
  const command = new Command("rotate")
    .description("rotate the certificates of links now")
    .argument("[links...]", "names of links")
    .option(...eitherFlag)
    .option("--all", "every link that there is")
    .requiredOption("--reason <text>", "why; it stands in the history")
    .option("--wait", "until the rotation has ended")
    .addOption(durationOption("--timeout <time>", "of --wait", 600_000));
  return addOutputOptions(command).action(async (names: readonly string[], flags: GatewayRotateFlags) => {
    await rotateLinks(names, flags, shell);
  });
}
