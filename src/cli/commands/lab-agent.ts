/**
 * `spindle lab-agent` (hidden): the agent of a lab node. The same program as `spindle agent`, except for what the lab
 * exists to show: a slow node, and today's order. It ends when the lab that started it is gone.
 */
import { Command, Option } from "commander";
import { stepAgent } from "../../core/rotation/step.js";
import { advertiseFirst } from "../../sim/scenarios/field/advertise-first.js";
import { holdLeash } from "../../lab/fleet/leash.js";
import { findConfig, loadAgentConfig } from "../config/load.js";
import { runAgent, type AgentOverrides } from "../daemon/agent.js";
import { CliError } from "../exit.js";
import type { Shell } from "../shell.js";

interface LabAgentFlags {
  readonly config?: string;
  readonly order: "stage-first" | "advertise-first";
  readonly stagingDelayMs?: string;
  readonly record?: string;
}

export function makeCommand(shell: Shell): Command {
  const orders = ["stage-first", "advertise-first"];
  return new Command("lab-agent")
    .option("--config <file>", "configuration file")
    .addOption(new Option("--order <order>", "what comes first").choices(orders).default("stage-first"))
    .option("--record <file>", "where to append a recording")
    .option("--staging-delay-ms <n>", "milliseconds added to staging")
    .action(async (flags: LabAgentFlags) => {
      const { config, warnings } = await loadAgentConfig(findConfig(flags.config, shell.env));
      if (flags.order === "advertise-first" && config.coordination === "barrier") throw barrierKnowsNoOrder();
      const released = new AbortController();
      holdLeash(process.stdin, { released: () => released.abort() });
      const signal = AbortSignal.any([shell.interrupted(), released.signal]);
      // An open pipe would keep a program alive that could not start.
      const ended = runAgent(config, warnings, signal, flags.record ?? null, overridesOf(flags));
      await ended.finally(() => process.stdin.destroy());
    });
}

function overridesOf(flags: LabAgentFlags): AgentOverrides {
  return {
    ...(flags.order === "advertise-first" ? { step: { name: flags.order, take: advertiseFirst(stepAgent) } } : {}),
    stagingDelayMs: Number(flags.stagingDelayMs ?? 0),
  };
}

function barrierKnowsNoOrder(): CliError {
  return new CliError({
    exitCode: 2,
    code: "BAD_USAGE",
    message: "--order advertise-first goes with --coordination pairwise: behind a barrier nobody acts on one report",
  });
}
