/**
 * Joins the adapters to a controller and runs it until it is told to stop. The composition root of `spindle controller`.
 * One controller of a fleet keeps the embedded registry; in pairwise coordination that is all it does.
 */
import { makeLog } from "../../adapters/log/log.js";
import { connectRegistry } from "../../adapters/registry/connect.js";
import { startEmbedded } from "../../adapters/registry/embedded/open.js";
import type { RegistryStatistics } from "../../adapters/registry/embedded/statistics.js";
import { systemClock } from "../../adapters/system/clock.js";
import { formatServiceAddress } from "../../http/listen.js";
import type { ControllerStatus, RegistryWrites } from "../../http/status.js";
import type { Log } from "../../ports/log.js";
import type { RegistryPort } from "../../ports/registry.js";
import { ControllerLoop, type ControllerLoopOptions, type ControllerPorts } from "../../runtime/controller-loop.js";
import type { ControllerConfig } from "../config/controller.js";
import { Closers } from "../../adapters/system/closers.js";
import { controllerHealth, controllerReadiness, controllerStatus } from "./controller-status.js";
import { openNextKey } from "./next-key-process.js";
import { openRecording } from "./recording.js";
import { serveStatus } from "./serve-status.js";
import { skipLogger } from "./skip-logger.js";
import { untilAborted } from "./until-aborted.js";

interface OpenRegistry {
  readonly registry: RegistryPort;
  readonly writes: () => RegistryWrites;
  readonly close: () => Promise<void>;
}

/**
 * Ends when `signal` aborts. The fleet record stays: the next controller goes on from it.
 * @param recordPath the file to append a recording to, null for none
 */
export async function runController(
  config: ControllerConfig,
  warnings: readonly string[],
  signal: AbortSignal,
  recordPath: string | null,
): Promise<void> {
  const log = makeLog({ level: config.log.level, fields: { controller: config.name } });
  for (const why of warnings) log.write("warn", "configuration", { why });
  const closers = new Closers();
  try {
    const recording = openRecording(recordPath, null, log, closers);
    const opened = await openRegistry(config, log);
    closers.add(opened.close);
    const options = loopOptions(config);
    const ports = { clock: systemClock, registry: opened.registry, log, ...recording, ...keyWriter(config, signal) };
    const loop = new ControllerLoop(options, ports);
    closers.add(() => loop.stop());
    closers.add(await serveController(config, options, loop, opened, log));
    if (config.coordination === "barrier") loop.start();
    else closers.add(keepRoster(config, opened.registry));
    await untilAborted(signal);
  } finally {
    await closers.closeAll();
  }
}

function keyWriter({ registry, rotation: { generate }, keyFile }: ControllerConfig, signal: AbortSignal): Pick<ControllerPorts, "nextKey"> {
  if (generate === null || registry.role !== "connect" || registry.target.kind !== "kubernetes") return {};
  const { kubeconfig, context, namespace } = registry.target;
  const place = { kubeconfig, context, namespace: generate.namespace ?? namespace };
  return { nextKey: openNextKey(place, { name: generate.secret, file: generate.file, ring: keyFile.ring }, signal) };
}

/** In pairwise coordination nobody decides for the fleet; on Kubernetes somebody must admit nodes all the same. */
function keepRoster({ registry, name, lease }: ControllerConfig, port: RegistryPort): () => void {
  if (registry.role !== "connect" || registry.target.kind !== "kubernetes") return () => undefined;
  return port.campaign(name, lease.durationMs, () => undefined);
}

async function openRegistry(
  { registry: place, stateDir }: ControllerConfig,
  log: Log,
): Promise<OpenRegistry> {
  const skipped = skipLogger(log);
  if (place.role === "connect") {
    const registry = await connectRegistry(place.target, { skipped, log });
    return { registry, writes: () => ({}), close: async () => registry.close() };
  }
  const host = await startEmbedded({ stateDir, listen: place.address, skipped });
  log.write("info", "registry served", { at: formatServiceAddress(host.address) });
  const writes = (): RegistryWrites => writesOf(host.server.statistics());
  return { registry: host.registry, writes, close: host.close };
}

function writesOf({ writes, leaseRenewals }: RegistryStatistics): RegistryWrites {
  const { roster, reports, fleet, request, rotations } = writes;
  return { roster, report: reports, fleet, request, rotation: rotations, lease: leaseRenewals };
}

function serveController(
  config: ControllerConfig,
  options: ControllerLoopOptions,
  loop: ControllerLoop,
  opened: OpenRegistry,
  log: Log,
): Promise<() => Promise<void>> {
  const status = (): ControllerStatus => {
    return controllerStatus(loop.inspect(), config, options, opened.writes(), systemClock.nowMs());
  };
  return serveStatus(config.metrics, log, async () => {
    const { makeControllerMetrics } = await import("../../http/metrics/controller-metrics.js");
    return {
      status,
      metrics: makeControllerMetrics(status),
      healthy: controllerHealth,
      ready: () => controllerReadiness(loop.inspect(), config.coordination),
    };
  });
}

function loopOptions(config: ControllerConfig): ControllerLoopOptions {
  const { rotation, stragglers, preflight } = config;
  return {
    name: config.name,
    ring: config.keyFile.ring,
    start: rotation.start,
    slow: stragglers.slow,
    silent: stragglers.silent,
    silentMs: stragglers.silentAfterMs,
    excludeShareMax: stragglers.excludeShareMax,
    stageDeadlineMs: rotation.stageDeadlineMs,
    retireDeadlineMs: rotation.retireDeadlineMs,
    emergencyDeadlineMs: rotation.emergencyDeadlineMs,
    drainMs: rotation.drainMs,
    jitterMaxMs: preflight.jitterMaxMs,
    jitterMinNodes: preflight.jitterMinNodes,
    keyDistributionMs: preflight.keyDistributionMs,
    leaseMs: config.lease.durationMs,
    ...(rotation.generate === null ? {} : { generate: { everyMs: rotation.everyMs } }),
  };
}
