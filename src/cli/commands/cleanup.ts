/** `spindle cleanup`: takes everything of Spindle's out of the kernel of this network namespace. */
import { setTimeout as pause } from "node:timers/promises";
import { Command, InvalidArgumentError } from "commander";
import { remedyFor } from "../../adapters/netlink/codec/errno.js";
import { endHolder, findHolders } from "../../adapters/netlink/decapsulation.js";
import { defaultOwnership, type Ownership } from "../../adapters/netlink/kernel/ownership.js";
import { remove } from "../../adapters/netlink/kernel/removal.js";
import { formatCidr } from "../../adapters/cidr.js";
import { listTunnelRoutes, removeTunnelRoutes } from "../../adapters/netlink/kernel/tunnel-routes.js";
import { netlinkProtocol } from "../../adapters/netlink/socket/descriptor.js";
import { findOwned, type Owned } from "../../adapters/netlink/owned.js";
import { openRequestSocket, type RequestSocket } from "../../adapters/netlink/socket/request-socket.js";
import { PortError } from "../../adapters/port-error.js";
import { limits } from "../../core/limits.js";
import { cleanupText, viewOwned, type CleanupResult } from "../cleanup-text.js";
import { findConfig, loadAgentConfig } from "../config/load.js";
import { CliError } from "../exit.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface Flags extends OutputOptions {
  readonly dryRun?: true;
  readonly reqid?: number;
  readonly config?: string;
}

const examples = `
What carries Spindle's reqid (SAs), stands in its priority band (policies) or has the protocol number of its
tunnels (routes) goes, also what a dead agent left; all else stays. Traffic between the nodes is plain afterwards, or stops where another
program wants it encrypted. Stop the agent of this node first: it would put everything back.

Examples:
  $ spindle cleanup --dry-run                  show what is there
  $ spindle cleanup --config agent.yaml        with the reqid of that agent`;

export function makeCommand(shell: Shell): Command {
  const command = new Command("cleanup")
    .description("remove all SAs and policies of Spindle from the kernel of this network namespace")
    .option("--dry-run", "show them and remove nothing")
    .option("--reqid <number>", "of the agent whose SAs they are, as in dataplane.reqid", parseReqid)
    .option("--config <file>", "agent's configuration, for its reqid (default: $SPINDLE_CONFIG)")
    .addHelpText("after", examples);
  return addOutputOptions(command).action(async (flags: Flags) => {
    const ownership = await ownershipOf(flags, shell);
    const result = await withSockets((sockets) => cleanUp(sockets, ownership, flags.dryRun === true));
    await printResult(shell.stdout, formatOf(flags), result, (wide) =>
      cleanupText(result, shell.stdout, wide),
    );
    if (!result.ok) shell.exitWith(1);
  });
}

function parseReqid(text: string): number {
  const reqid = Number(text);
  if (Number.isInteger(reqid) && reqid > 0 && reqid <= 0xffff_ffff) return reqid;
  throw new InvalidArgumentError("It must be a number from 1 to 4294967295.");
}

/** @throws CliError BAD_USAGE, CONFIG_… */
async function ownershipOf(flags: Flags, { env }: Shell): Promise<Ownership> {
  const { reqid } = flags;
  if (reqid !== undefined && flags.config !== undefined)
    throw badUsage("--reqid and --config both say whose SAs are meant: give one of them");
  if (reqid !== undefined) return { ...defaultOwnership, reqid };
  const isGiven = flags.config !== undefined || (env["SPINDLE_CONFIG"] ?? "") !== "";
  if (!isGiven) return defaultOwnership;
  const { file, config } = await loadAgentConfig(findConfig(flags.config, env));
  const { dataplane } = config;
  if (dataplane.kind === "kernel") return { ...defaultOwnership, reqid: dataplane.reqid };
  throw badUsage(`${file}: dataplane.kind is ${dataplane.kind}, which puts nothing into the kernel`);
}

function badUsage(message: string): CliError {
  return new CliError({ exitCode: 2, code: "BAD_USAGE", message });
}

interface Sockets {
  readonly xfrm: RequestSocket;
  readonly route: RequestSocket;
}

/** @throws CliError with the kernel's code */
async function withSockets<T>(run: (sockets: Sockets) => Promise<T>): Promise<T> {
  try {
    const xfrm = await openRequestSocket();
    try {
      const route = await openRequestSocket(netlinkProtocol.route);
      try {
        return await run({ xfrm, route });
      } finally {
        route.close();
      }
    } finally {
      xfrm.close();
    }
  } catch (cause) {
    if (!(cause instanceof PortError)) throw cause;
    const { code } = cause;
    const message = `the kernel's XFRM cannot be used: ${cause.message}`;
    throw new CliError({ exitCode: 1, code, message, hint: remedyFor(code) }, { cause });
  }
}

async function cleanUp(
  { xfrm, route }: Sockets,
  ownership: Ownership,
  dryRun: boolean,
): Promise<CleanupResult> {
  const found = await findOwned(xfrm, ownership);
  const ways = await listTunnelRoutes(route);
  const holders = findHolders();
  const routes = ways.map(({ destination }) => formatCidr(destination));
  const shown = { schemaVersion: 1, dryRun, reqid: ownership.reqid, ...viewOwned(found), routes, holders } as const;
  if (dryRun || (isNothing(found) && routes.length + holders.length === 0)) return { ...shown, left: null, ok: true };
  await remove(xfrm, found);
  await removeTunnelRoutes(route, ways);
  for (const holder of holders) endHolder(holder);
  // An agent that still runs notices within this time, and puts back what it needs.
  await pause(limits.cleanupWatchMs);
  const left = await findOwned(xfrm, ownership);
  const stayed = { routes: (await listTunnelRoutes(route)).length, holders: findHolders().length };
  const counts = { sas: left.sas.length, policies: left.policies.length, ...stayed };
  return { ...shown, left: counts, ok: isNothing(left) && stayed.routes + stayed.holders === 0 };
}

function isNothing({ sas, policies }: Owned): boolean {
  return sas.length + policies.length === 0;
}
