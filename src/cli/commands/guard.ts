/** `spindle guard`: blocks what policy level `require` blocks, before there is an agent. */
import { Command } from "commander";
import { remedyFor } from "../../adapters/netlink/codec/errno.js";
import { isGuardPolicy, keepGuard, wantedPolicies } from "../../adapters/netlink/kernel/guard-keeper.js";
import { defaultOwnership } from "../../adapters/netlink/kernel/ownership.js";
import type { LocalNode } from "../../adapters/netlink/kernel/local-node.js";
import { findOwned } from "../../adapters/netlink/owned.js";
import { openRequestSocket, type RequestSocket } from "../../adapters/netlink/socket/request-socket.js";
import { PortError } from "../../adapters/port-error.js";
import type { AgentConfig } from "../config/agent.js";
import { findConfig, loadAgentConfig } from "../config/load.js";
import { CliError } from "../exit.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface Flags extends OutputOptions {
  readonly config?: string;
}

/** JSON of `spindle guard`. */
interface Guarded {
  readonly schemaVersion: 1;
  /** That are in place now, those that pass and those that block. */
  readonly policies: number;
  /** That were missing, other than wanted, or too many. */
  readonly changed: number;
}

const examples = `
It installs the block and bypass policies of policy.cidrs and ends. At boot, before the network is up
(deploy/systemd/spindle-guard.service), no packet leaves plain before the agent runs. It asks neither
registry nor state directory, and the agent takes over what it finds.

Example:
  $ spindle guard --config /etc/spindle/agent.yaml`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("guard")
    .description("block plain packets over policy.cidrs, as the agent does at level require")
    .option("--config <file>", "agent's configuration (default: $SPINDLE_CONFIG)")
    .addHelpText("after", examples);
  return addOutputOptions(command).action(async (flags: Flags) => {
    const { file, config } = await loadAgentConfig(findConfig(flags.config, shell.env));
    const result = await guardNode(nodeOf(file, config));
    await printResult(shell.stdout, formatOf(flags), result, () => textOf(result));
  });
}

/** @throws CliError BAD_USAGE */
function nodeOf(file: string, { dataplane, node, policy }: AgentConfig): LocalNode {
  if (dataplane.kind === "kernel") {
    const { reqid, replayWindow, probePort } = dataplane;
    const ownership = { ...defaultOwnership, reqid };
    return { addresses: node.addresses, ownership, replayWindow, probePort, guard: policy.level === "require" ? policy.guard : null };
  }
  const message = `${file}: dataplane.kind is ${dataplane.kind}, which has no policies in the kernel`;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}

/** @throws CliError with the kernel's code */
async function guardNode(local: LocalNode): Promise<Guarded> {
  try {
    const socket = await openRequestSocket();
    try {
      const changed = await installIn(socket, local);
      return { schemaVersion: 1, policies: wantedPolicies(local).length, changed };
    } finally {
      socket.close();
    }
  } catch (cause) {
    if (!(cause instanceof PortError)) throw cause;
    const { code, message } = cause;
    throw new CliError({ exitCode: 1, code, message, hint: remedyFor(code) }, { cause });
  }
}

async function installIn(socket: RequestSocket, local: LocalNode): Promise<number> {
  const { policies } = await findOwned(socket, local.ownership);
  return keepGuard(socket, local, policies.filter((policy) => isGuardPolicy(policy, local)));
}

function textOf({ policies, changed }: Guarded): string {
  if (policies === 0) return "nothing to block: it takes policy.level require and policy.cidrs";
  return changed === 0 ? `${policies} policies were in place` : `${policies} policies are in place, ${changed} changed`;
}
