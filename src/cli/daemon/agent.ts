/** Joins the adapters to an agent and runs it until it is told to stop. The composition root of `spindle agent`. */
import { randomBytes } from "node:crypto";
import { assert } from "../../core/assert.js";
import { parseIncarnationId, type IncarnationId } from "../../core/node.js";
import { Keyring } from "../../adapters/crypto/keyring.js";
import { Keystore } from "../../adapters/keyfile/keystore.js";
import { makeLog } from "../../adapters/log/log.js";
import { startResponder } from "../../adapters/netlink/probe/responder.js";
import { connectRegistry } from "../../adapters/registry/connect.js";
import { openStateDirectory } from "../../adapters/storage/state-directory.js";
import { systemClock } from "../../adapters/system/clock.js";
import { limits } from "../../core/limits.js";
import type { StatusSource } from "../../http/server.js";
import { isClosed } from "../../core/fleet/record.js";
import type { Stop } from "../../ports/failure.js";
import type { StoragePort } from "../../ports/storage.js";
import { checkpointDocument, parseCheckpoint, parseDurable, stateDocument } from "../../runtime/agent-documents.js";
import type { AgentStatus, Verdict } from "../../http/status.js";
import type { KernelPort } from "../../ports/kernel.js";
import type { Log } from "../../ports/log.js";
import { AgentLoop, type AgentLoopOptions, type StepAgent } from "../../runtime/agent-loop.js";
import type { AgentConfig } from "../config/agent.js";
import { CliError } from "../exit.js";
import { agentHealth, agentReadiness, agentStatus } from "./agent-status.js";
import { openDataplane } from "./dataplane.js";
import { Closers } from "../../adapters/system/closers.js";
import { openRecording, type Recording } from "./recording.js";
import { refuseModeChange, type Known } from "./mode-change.js";
import { checkPaths } from "./path-check.js";
import { listSas } from "./sa-listing.js";
import { serveStatus } from "./serve-status.js";
import { skipLogger } from "./skip-logger.js";

/** What the lab changes; `spindle agent` changes nothing. */
export interface AgentOverrides {
  /** Another step than the agent's own, and the name that a recording gives it. */
  readonly step?: { readonly name: string; readonly take: StepAgent };
  readonly stagingDelayMs?: number;
}

/**
 * Ends when `signal` aborts. SAs and policies stay: the dataplane goes on without its agent.
 * @param recordPath the file to append a recording to, null for none
 */
export async function runAgent(
  config: AgentConfig,
  warnings: readonly string[],
  signal: AbortSignal,
  recordPath: string | null,
  overrides: AgentOverrides = {},
): Promise<void> {
  const log = makeLog({ level: config.log.level, fields: { node: config.node.name } });
  for (const why of warnings) log.write("warn", "configuration", { why });
  const closers = new Closers();
  try {
    const recording = openRecording(recordPath, overrides.step?.name ?? null, log, closers);
    const loop = await openAgent(config, log, recording, overrides, closers);
    await runUntil(loop, signal);
  } finally {
    await closers.closeAll();
  }
}

/** The keys are wiped last, after everything that uses them has ended, and whatever failed to end. */
async function openAgent(
  config: AgentConfig,
  log: Log,
  recording: Recording,
  overrides: AgentOverrides,
  closers: Closers,
): Promise<AgentLoop> {
  const keyring = new Keyring();
  closers.add(() => keyring.wipe());
  const storage = await openStateDirectory(config.stateDir, log);
  closers.add(() => storage.close());
  const known = await loadKnown(storage);
  refuseModeChange(known, loopOptions(config));
  const isGuarded = wasGuarded(config, known);
  const kernel = await openDataplane(config, isGuarded, keyring, log, overrides.stagingDelayMs ?? 0);
  closers.add(() => kernel.close());
  if (config.dataplane.kind === "kernel") closers.add(answerProbes(config.dataplane.probePort, config, log));
  const registry = await connectRegistry(config.registry, { skipped: skipLogger(log), log });
  closers.add(() => registry.close());
  const keystore = makeKeystore(config, keyring, log);
  const chances = { randomIncarnationId, chance: Math.random };
  const ports = { clock: systemClock, kernel, keystore, registry, storage, log, ...recording, ...chances };
  const loop = new AgentLoop(loopOptions(config), ports, overrides.step?.take);
  closers.add(() => loop.stop());
  const startedMs = systemClock.nowMs();
  const readiness = (): Verdict => agentReadiness(loop.inspect(), config.ready, systemClock.nowMs() - startedMs);
  closers.add(await serveAgent(config, loop, kernel, readiness, log));
  closers.add(await removeTaintWhenReady(config, readiness, log));
  return loop;
}

async function loadKnown(storage: StoragePort): Promise<Known> {
  const [state, nodes] = await Promise.all([stateDocument, checkpointDocument].map((document) => load(storage, document)));
  const [durable, checkpoint] = [parseDurable(state ?? null), parseCheckpoint(nodes ?? null)];
  return { durable: durable.ok ? durable.value : null, peers: checkpoint.ok ? [...checkpoint.value].map(([, peer]) => peer) : [] };
}

function load(storage: StoragePort, document: string): Promise<string | null> {
  return new Promise((resolve) => storage.load(document, (result) => resolve(result.ok ? result.value : null)));
}

/** As the fleet's level was when the node last heard of it; by its configuration when it never did. */
function wasGuarded({ policy, coordination }: AgentConfig, { durable }: Known): boolean {
  const record = coordination === "barrier" ? durable?.fleet?.record : undefined;
  return record?.levels === undefined ? policy.level === "require" : isClosed(record);
}

async function runUntil(loop: AgentLoop, signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    if (signal.aborted) return resolve();
    signal.addEventListener("abort", () => resolve(), { once: true });
    loop.start((message) => {
      const hint = "mend or remove the state directory; without it the node starts as a new incarnation";
      reject(new CliError({ exitCode: 1, code: "STATE_UNREADABLE", message, hint }));
    });
  });
}

function answerProbes(port: number, { node: { addresses } }: AgentConfig, log: Log): () => void {
  const responder = startResponder({ addresses, port, log });
  return () => responder.close();
}

function makeKeystore(config: AgentConfig, keyring: Keyring, log: Log): Keystore {
  const { path, ring, strictPermissions, pollMs } = config.keyFile;
  const warn = (code: string, why: string): void => log.write("warn", "key file", { code, why });
  return new Keystore(keyring, { path, ring, strictPermissions, pollMs, warn });
}

function loopOptions(config: AgentConfig): AgentLoopOptions {
  return {
    name: config.node.name,
    addresses: config.node.addresses,
    coordination: config.coordination,
    provesPaths: config.dataplane.kind === "kernel" && config.dataplane.provesPaths,
    ring: config.keyFile.ring,
    jitter: config.jitter,
    drainMs: config.rotation.drainMs,
    retireDeadlineMs: config.rotation.retireDeadlineMs,
    emergencyDeadlineMs: config.rotation.emergencyDeadlineMs,
    reportIntervalMs: config.report.intervalMs,
    resyncMs: limits.resyncMs,
    massDeletionShare: config.roster.massDeletionShare,
    policyLevel: config.policy.level,
    followsLevels: config.dataplane.kind === "kernel",
    leaseMs: config.lease.durationMs,
  };
}

async function removeTaintWhenReady(config: AgentConfig, readiness: () => Verdict, log: Log): Promise<Stop> {
  const { node, ready: { taint }, registry } = config;
  if (taint === null || registry.kind !== "kubernetes") return () => undefined;
  const { openApiClient } = await import("../../adapters/registry/kubernetes/open.js");
  const { startTaintRemoval } = await import("./startup-taint.js");
  const removal = { node: node.name, taint, isReady: () => readiness().ok, log };
  return startTaintRemoval(openApiClient(registry), removal);
}

async function serveAgent(
  config: AgentConfig,
  loop: AgentLoop,
  kernel: KernelPort,
  ready: () => Verdict,
  log: Log,
): Promise<() => Promise<void>> {
  const status = (): AgentStatus => agentStatus(loop.inspect(), config, systemClock.nowMs());
  return serveStatus(config.metrics, log, async () => {
    const { makeAgentMetrics } = await import("../../http/metrics/agent-metrics.js");
    return {
      status,
      metrics: makeAgentMetrics(status),
      healthy: () => agentHealth(loop.inspect()),
      ready,
      listSas: (peers) => listSas(loop.inspect(), config.node.name, peers, systemClock.nowMs()),
      ...(kernel.probe === undefined ? {} : { checkPaths: pathChecker(loop, kernel, config.node.name) }),
    };
  });
}

function pathChecker(loop: AgentLoop, kernel: KernelPort, node: string): NonNullable<StatusSource["checkPaths"]> {
  return (peers) => checkPaths(loop, (probes, done) => kernel.probe?.(probes, done), node, peers);
}

function randomIncarnationId(): IncarnationId {
  const parsed = parseIncarnationId(randomBytes(16).toString("hex"));
  assert(parsed.ok, "128 random bits are an incarnation id");
  return parsed.value;
}
