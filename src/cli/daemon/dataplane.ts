/** The dataplane that an agent's configuration names. */
import type { Keyring } from "../../adapters/crypto/keyring.js";
import { remedyFor } from "../../adapters/netlink/codec/errno.js";
import { openNetlinkKernel, type NetlinkKernelOptions } from "../../adapters/netlink/kernel-port.js";
import { defaultOwnership } from "../../adapters/netlink/kernel/ownership.js";
import type { LocalNode } from "../../adapters/netlink/kernel/local-node.js";
import { PortError } from "../../adapters/port-error.js";
import { UserspaceKernel } from "../../adapters/userspace/control-client.js";
import type { KernelPort } from "../../ports/kernel.js";
import type { Log } from "../../ports/log.js";
import type { AgentConfig } from "../config/agent.js";
import type { KernelDataplaneConfig } from "../config/dataplane.js";
import { CliError } from "../exit.js";

export interface OpenDataplane extends KernelPort {
  /** SAs and policies stay. */
  close(): void;
}

/**
 * @param isGuarded the networks of the configuration are blocked from the beginning on
 * @throws CliError with the kernel's code, when it cannot run ESP for this agent
 */
export async function openDataplane(
  { dataplane, node, policy }: AgentConfig,
  isGuarded: boolean,
  keySource: Keyring,
  log: Log,
  stagingDelayMs: number,
): Promise<OpenDataplane> {
  if (dataplane.kind === "kernel")
    return openKernel(dataplane, { addresses: node.addresses, guard: policy.guard }, { keySource, log, stagingDelayMs, isGuarded });
  return new UserspaceKernel({ socketPath: dataplane.socket, keySource, stagingDelayMs });
}

async function openKernel(
  { reqid, replayWindow, probePort, besideCilium }: KernelDataplaneConfig,
  node: Pick<LocalNode, "addresses" | "guard">,
  options: Omit<NetlinkKernelOptions, "local">,
): Promise<OpenDataplane> {
  const local = { ...node, ownership: { ...defaultOwnership, reqid }, replayWindow, probePort };
  try {
    return await openNetlinkKernel({ local, besideCilium, ...options });
  } catch (cause) {
    if (!(cause instanceof PortError)) throw cause;
    const { code, message } = cause;
    const text = `the kernel's dataplane cannot be used: ${message}`;
    throw new CliError({ exitCode: 1, code, message: text, hint: remedyFor(code) }, { cause });
  }
}
