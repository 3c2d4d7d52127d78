/** Joins the adapters to a gateway site and runs it until it is told to stop. The composition root of `spindle gateway site`. */
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { makeLog } from "../../adapters/log/log.js";
import { openRouteTable } from "../../adapters/netlink/route/route-table.js";
import { endProcess, findProcesses } from "../../adapters/openvpn/processes.js";
import { openTunnels } from "../../adapters/openvpn/tunnels.js";
import { connectGatewayRegistry } from "../../adapters/registry/connect.js";
import { openStateDirectory } from "../../adapters/storage/state-directory.js";
import { systemClock } from "../../adapters/system/clock.js";
import { Closers } from "../../adapters/system/closers.js";
import { limits } from "../../core/limits.js";
import { SiteLoop } from "../../runtime/gateway-site-loop.js";
import { tunnelDirectory, type SiteConfig } from "../config/gateway-site.js";
import { CliError } from "../exit.js";
import { skipLogger } from "./skip-logger.js";

/**
 * Ends when `signal` aborts. Processes, tunnels and routes stay: the link goes on without its site's program.
 * @param mayLeave false for a lab, which ends the processes, too
 */
export async function runSite(config: SiteConfig, signal: AbortSignal, mayLeave = true): Promise<void> {
  checkMachine(config);
  const log = makeLog({ level: config.log.level, fields: { site: config.site } });
  const directory = tunnelDirectory(config.stateDir);
  const closers = new Closers();
  try {
    if (!mayLeave) closers.add(() => endProcesses(directory));
    const storage = await openStateDirectory(config.stateDir, log);
    closers.add(() => storage.close());
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const routes = await openRouteTable();
    closers.add(() => routes.close());
    const { site, links, openvpn: program } = config;
    const tunnel = await openTunnels({ directory, site, links, program, routes, clock: systemClock, log });
    closers.add(() => tunnel.close());
    const registry = await connectGatewayRegistry(config.registry, { skipped: skipLogger(log) });
    closers.add(() => registry.close());
    const loop = new SiteLoop(optionsOf(config), { clock: systemClock, registry, tunnel, storage, log });
    closers.add(() => loop.stop());
    await runUntil(loop, signal);
  } finally {
    await closers.closeAll();
  }
}

function optionsOf({ site, drain }: SiteConfig): ConstructorParameters<typeof SiteLoop>[0] {
  const { gatewayObserveMs: observeMs, gatewayObserveIdleMs: observeIdleMs } = limits;
  return { site, observeMs, observeIdleMs, drainMs: drain.idleMs, drainMsMax: drain.maxMs };
}

/** @throws CliError GATEWAY_NEEDS_ROOT, GATEWAY_NEEDS_TUN */
export function checkMachine({ openvpn }: Pick<SiteConfig, "openvpn">): void {
  if (process.getuid?.() !== 0)
    throw fault("GATEWAY_NEEDS_ROOT", "tunnels and routes need root", "run it as root");
  if (!existsSync("/dev/net/tun"))
    throw fault("GATEWAY_NEEDS_TUN", "there is no /dev/net/tun", "load the module: modprobe tun");
  if (!existsSync(openvpn))
    throw fault("OPENVPN_MISSING", `there is no ${openvpn}`, "install OpenVPN 2.6 (apt-get install openvpn), or correct the path");
}

function fault(code: string, message: string, hint: string): CliError {
  return new CliError({ exitCode: 1, code, message, hint });
}

async function endProcesses(directory: string): Promise<void> {
  for (const target of await findProcesses(directory)) await endProcess(target);
}

function runUntil(loop: SiteLoop, signal: AbortSignal): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    loop.start((message) => {
      const hint = "use the version that wrote it, or move the file away: the hub's records are read again";
      reject(new CliError({ exitCode: 1, code: "STATE_UNREADABLE", message, hint }));
    });
  });
}
