/**
 * Every command of `spindle`. A module is loaded only when its command is used, so that `spindle
 * --help` and `spindle keyfile` do not pay for the registry, the dataplane or the configuration
 * schemas.
 */
import type { Command } from "commander";
import type { Shell } from "./shell.js";

/** What a file in commands/ exports. */
export interface CommandModule {
  /** Builds the command with its options, help and action; faults are thrown as `CliError`. */
  makeCommand(shell: Shell): Command;
}

export interface CommandEntry {
  readonly name: string;
  /** One line of `spindle --help`. */
  readonly summary: string;
  readonly load: () => Promise<CommandModule>;
  /** Not in the help: programs that the lab starts. */
  readonly hidden?: true;
}

export const commandTable: readonly CommandEntry[] = [
  {
    name: "keyfile",
    summary: "make, extend and check key files",
    load: loadKeyfile,
  },
  {
    name: "agent",
    summary: "run the agent of one node",
    load: () => import("./commands/agent.js"),
  },
  {
    name: "controller",
    summary: "run a controller, and the embedded registry with it",
    load: () => import("./commands/controller.js"),
  },
  {
    name: "status",
    summary: "show where the fleet stands, and what is not as it should be",
    load: () => import("./commands/status.js"),
  },
  {
    name: "rotate",
    summary: "move the fleet to the next key",
    load: () => import("./commands/rotate.js"),
  },
  {
    name: "abort",
    summary: "take the fleet back to the key it had",
    load: () => import("./commands/abort.js"),
  },
  {
    name: "level",
    summary: "move the fleet between plain and encrypted traffic",
    load: () => import("./commands/level.js"),
  },
  {
    name: "node",
    summary: "list the nodes of the fleet, or remove one",
    load: () => import("./commands/node.js"),
  },
  {
    name: "registry",
    summary: "back up the fleet's registry, or make one from a backup",
    load: () => import("./commands/registry.js"),
  },
  {
    name: "guard",
    summary: "block plain packets before the agent runs, as at boot",
    load: () => import("./commands/guard.js"),
  },
  {
    name: "doctor",
    summary: "check this host, and the way to a peer",
    load: () => import("./commands/doctor.js"),
  },
  {
    name: "probe",
    summary: "prove this node's paths to its peers",
    load: () => import("./commands/probe.js"),
  },
  {
    name: "cleanup",
    summary: "remove all SAs and policies of Spindle from this host's kernel",
    load: () => import("./commands/cleanup.js"),
  },
  {
    name: "plan",
    summary: "estimate a rotation of a fleet of N nodes",
    load: () => import("./commands/plan.js"),
  },
  {
    name: "modelcheck",
    summary: "search every interleaving of a small fleet for a run that breaks an invariant",
    load: () => import("./commands/modelcheck.js"),
  },
  {
    name: "lab",
    summary: "run a fleet on this machine, rotate its key under traffic, and say what was lost",
    load: () => import("./commands/lab.js"),
  },
  {
    name: "loadtest",
    summary: "many agents with simulated kernels against a real registry: what a rotation costs it",
    load: () => import("./commands/loadtest.js"),
  },
  {
    name: "simulate",
    summary: "a fleet in virtual time: rotations, failures of the field, replays",
    load: () => import("./commands/simulate.js"),
  },
  {
    name: "gateway",
    summary: "VPN gateways: run hub or site, show links, rotate their certificates",
    load: () => import("./commands/gateway.js"),
  },
  {
    name: "lab-agent",
    summary: "the agent of a lab's node",
    load: () => import("./commands/lab-agent.js"),
    hidden: true,
  },
  {
    name: "lab-controller",
    summary: "the controller of a lab",
    load: () => import("./commands/lab-controller.js"),
    hidden: true,
  },
  {
    name: "lab-gateway",
    summary: "hub, site or traffic of a lab of gateways",
    load: () => import("./commands/lab-gateway.js"),
    hidden: true,
  },
  {
    name: "dataplane",
    summary: "the dataplane of a lab's node",
    load: () => import("./commands/dataplane.js"),
    hidden: true,
  },
];

/** Only `keyfile next` asks the fleet, so only it loads the registry. */
async function loadKeyfile(): Promise<CommandModule> {
  const { makeKeyfileCommand } = await import("./commands/keyfile.js");
  return {
    makeCommand: (shell) =>
      makeKeyfileCommand(shell, async (configPath) => {
        const { readFleetKey } = await import("./operator/fleet-key.js");
        return readFleetKey(configPath, shell.env);
      }),
  };
}
