/** Joins the adapters to a gateway hub and runs it until it is told to stop. The composition root of `spindle gateway hub`. */
import { join } from "node:path";
import { makeLog } from "../../adapters/log/log.js";
import { openIssuer } from "../../adapters/pki/issuer.js";
import { connectGatewayRegistry } from "../../adapters/registry/connect.js";
import { startEmbedded } from "../../adapters/registry/embedded/open.js";
import { systemClock } from "../../adapters/system/clock.js";
import { Closers } from "../../adapters/system/closers.js";
import { formatServiceAddress } from "../../http/listen.js";
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { Log } from "../../ports/log.js";
import { HubLoop } from "../../runtime/gateway-hub-loop.js";
import type { HubConfig } from "../config/gateway-hub.js";
import { skipLogger } from "./skip-logger.js";
import { untilAborted } from "./until-aborted.js";

/** Ends when `signal` aborts. Records and roots stay, and no tunnel notices. */
export async function runHub(config: HubConfig, signal: AbortSignal): Promise<void> {
  const log = makeLog({ level: config.log.level, fields: { hub: config.name } });
  const closers = new Closers();
  try {
    const registry = await openRegistry(config, log, closers);
    const issuer = openIssuer({
      directory: join(config.stateDir, "roots"),
      lifetimes: config.certificates,
      now: () => new Date(),
    });
    const ports = { clock: systemClock, wallMs: () => Date.now(), registry, issuer, log };
    const loop = new HubLoop(config.rotation, config.links, ports);
    closers.add(() => loop.stop());
    loop.start();
    await untilAborted(signal);
  } finally {
    await closers.closeAll();
  }
}

async function openRegistry({ registry: place, stateDir }: HubConfig, log: Log, closers: Closers): Promise<GatewayRegistryPort> {
  const skipped = skipLogger(log);
  if (place.role === "connect") {
    const registry = await connectGatewayRegistry(place.target, { skipped });
    closers.add(() => registry.close());
    return registry;
  }
  const host = await startEmbedded({ stateDir, listen: place.address, skipped });
  closers.add(host.close);
  log.write("info", "registry served", { at: formatServiceAddress(host.address) });
  return host.gateways;
}
