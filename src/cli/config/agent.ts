/**
 * The agent's configuration: the fields as they stand in the file, the relations between them, and
 * the value that the program works with. The annotated example is examples/agent.yaml.
 */
import { resolve } from "node:path";
import { z } from "zod";
import type { JitterOptions } from "../../core/jitter.js";
import type { KeyRing } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import type { NodeAddresses, NodeName } from "../../core/node.js";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import { formatDuration } from "../duration.js";
import {
  checkDataplane,
  checkUdpPort,
  dataplaneSection,
  toDataplane,
  toUdpPort,
  type DataplaneConfig,
} from "./dataplane.js";
import {
  durationField,
  ipv4Field,
  ipv6Field,
  nodeNameField,
  pathField,
  portField,
  shareField,
  taintKeyField,
} from "./fields.js";
import { checkNetworks, networksField, toNetworks } from "./networks.js";
import { agentRegistrySection, checkAgentRegistry, toAgentTarget } from "./registry.js";
import { checkPolicy, policySection, toPolicy, type PolicyConfig } from "./policy.js";
import {
  checkDeadlines,
  coordinationField,
  defaultMs,
  keyRingField,
  logSection,
  checkMetrics,
  metricsSection,
  toMetrics,
  type LogConfig,
  type MetricsConfig,
  type Remark,
} from "./sections.js";

/** Paths are absolute, durations milliseconds. */
export interface AgentConfig {
  readonly schemaVersion: 1;
  readonly node: { readonly name: NodeName; readonly addresses: NodeAddresses };
  readonly stateDir: string;
  readonly registry: RegistryTarget;
  readonly coordination: "barrier" | "pairwise";
  readonly keyFile: KeyFileConfig;
  readonly dataplane: DataplaneConfig;
  readonly policy: PolicyConfig;
  readonly jitter: JitterOptions;
  readonly rotation: AgentRotationConfig;
  readonly report: { readonly intervalMs: number };
  readonly lease: { readonly durationMs: number };
  readonly ready: ReadyConfig;
  readonly roster: { readonly massDeletionShare: number };
  /** Null when switched off. */
  readonly metrics: MetricsConfig | null;
  readonly log: LogConfig;
}

export interface KeyFileConfig {
  readonly path: string;
  readonly ring: KeyRing;
  readonly strictPermissions: boolean;
  readonly pollMs: number;
}

export interface ReadyConfig {
  readonly share: number;
  readonly timeoutMs: number;
  /** Key of the taint that the Node loses then; null for none. */
  readonly taint: string | null;
}

/** What holds in pairwise coordination; in barrier coordination the fleet record says it. */
export interface AgentRotationConfig {
  readonly durationMs: number;
  readonly drainMs: number;
  readonly retireDeadlineMs: number;
  readonly emergencyDeadlineMs: number;
}

export const agentSchema = z.strictObject({
  schemaVersion: z.literal(1),
  node: z.strictObject({
    name: nodeNameField,
    addresses: z.strictObject({ ipv4: ipv4Field.optional(), ipv6: ipv6Field.optional() }),
    udpPort: portField.optional(),
    cidrs: networksField,
  }),
  stateDir: pathField,
  registry: agentRegistrySection,
  coordination: coordinationField,
  keyFile: z.strictObject({
    path: pathField,
    ring: keyRingField,
    strictPermissions: z.boolean().default(false),
    poll: durationField({ min: 100 }).default(limits.keyFilePollMsDefault),
  }),
  dataplane: dataplaneSection,
  policy: policySection,
  jitter: z
    .strictObject({
      enabled: z.boolean().default(true),
      mode: z.enum(["uniform", "slotted"]).default("uniform"),
      max: durationField({ min: 0 }).optional(),
      minNodes: z.int().min(1).max(limits.peersMax).default(limits.jitterMinNodesDefault),
    })
    .prefault({}),
  rotation: z
    .strictObject({
      duration: durationField().default(defaultMs.duration),
      drain: durationField({ min: limits.drainMsMin }).default(defaultMs.drain),
      retireDeadline: durationField().default(defaultMs.retireDeadline),
      emergencyDeadline: durationField().default(defaultMs.emergencyDeadline),
    })
    .prefault({}),
  report: z
    .strictObject({ interval: durationField({ min: 100 }).default(limits.reportIntervalMsDefault) })
    .prefault({}),
  lease: z
    .strictObject({ duration: durationField({ min: 1_000 }).optional() })
    .prefault({}),
  ready: z
    .strictObject({
      share: shareField.default(limits.readyShareDefault),
      timeout: durationField({ min: 0 }).default(limits.readyTimeoutMsDefault),
      taint: taintKeyField.optional(),
    })
    .prefault({}),
  roster: z
    .strictObject({ massDeletionShare: shareField.default(limits.massDeletionShareDefault) })
    .prefault({}),
  metrics: metricsSection,
  log: logSection,
});

/** The fields after parsing, under the names of the file; durations are milliseconds. */
export type AgentFields = z.output<typeof agentSchema>;

export function checkAgent(fields: AgentFields, folder: string): readonly Remark[] {
  const { addresses } = fields.node;
  const hasAddress = addresses.ipv4 !== undefined || addresses.ipv6 !== undefined;
  return [
    ...(hasAddress ? [] : [{ path: ["node", "addresses"], message: "needs ipv4, ipv6 or both" }]),
    ...checkAgentRegistry(fields.registry, folder),
    ...checkUdpPort(fields.node.udpPort, fields.dataplane),
    ...checkDataplane(fields.dataplane, folder),
    ...checkNetworks(fields.node, fields.dataplane),
    ...checkPolicy(fields.policy, fields),
    ...checkTaint(fields),
    ...checkDeadlines(fields.rotation),
    ...checkMetrics(fields.metrics),
  ];
}

function checkTaint({ ready, registry }: AgentFields): readonly Remark[] {
  if (ready.taint === undefined || registry.kind === "kubernetes") return [];
  return [{ path: ["ready", "taint"], message: `goes with registry.kind kubernetes, and kind is ${registry.kind}` }];
}

/** What is accepted although it is probably not what was meant. */
export function warnAboutAgent(fields: AgentFields): readonly Remark[] {
  const { jitter, rotation, lease } = fields;
  const remarks: Remark[] = [];
  if (jitter.max !== undefined && jitter.max > rotation.duration) {
    const cap = formatDuration(rotation.duration);
    remarks.push({
      path: ["jitter", "max"],
      message: `is above rotation.duration and is capped at ${cap}`,
    });
  }
  if (lease.duration !== undefined && lease.duration >= limits.silentMsDefault) {
    const silent = formatDuration(limits.silentMsDefault);
    remarks.push({
      path: ["lease", "duration"],
      message: `is not below the controller's default for stragglers.silentAfter (${silent})`,
    });
  }
  return remarks;
}

/** @param fields ones that `checkAgent` found nothing wrong with */
export function toAgentConfig(fields: AgentFields, folder: string): AgentConfig {
  const { node, registry, keyFile, dataplane, rotation } = fields;
  const { ipv4 = null, ipv6 = null } = node.addresses;
  const ends = { ipv4, ipv6, udpPort: toUdpPort(node.udpPort, dataplane) };
  const addresses = node.cidrs === undefined ? ends : { ...ends, cidrs: toNetworks(node.cidrs) };
  return {
    schemaVersion: fields.schemaVersion,
    node: { name: node.name, addresses },
    stateDir: resolve(folder, fields.stateDir),
    registry: toAgentTarget(registry, folder),
    coordination: fields.coordination,
    keyFile: {
      path: resolve(folder, keyFile.path),
      ring: keyFile.ring,
      strictPermissions: keyFile.strictPermissions,
      pollMs: keyFile.poll,
    },
    dataplane: toDataplane(dataplane, folder),
    policy: toPolicy(fields.policy),
    jitter: toJitter(fields),
    rotation: {
      durationMs: rotation.duration,
      drainMs: rotation.drain,
      retireDeadlineMs: rotation.retireDeadline,
      emergencyDeadlineMs: rotation.emergencyDeadline,
    },
    report: { intervalMs: fields.report.interval },
    lease: { durationMs: fields.lease.duration ?? leaseMsDefaultOf(registry) },
    ready: { share: fields.ready.share, timeoutMs: fields.ready.timeout, taint: fields.ready.taint ?? null },
    roster: fields.roster,
    metrics: toMetrics(fields.metrics, folder),
    log: fields.log,
  };
}

function leaseMsDefaultOf({ kind }: AgentFields["registry"]): number {
  return kind === "kubernetes" ? limits.kubernetesLeaseMsDefault : limits.leaseMsDefault;
}

/**
 * Half of the planned window unless the file says more or less, never more than the window (design
 * 4.4).
 */
function toJitter({ jitter, rotation }: AgentFields): JitterOptions {
  const { enabled, mode, minNodes, max = rotation.duration / 2 } = jitter;
  return { enabled, mode, maxMs: Math.floor(Math.min(max, rotation.duration)), minNodes };
}
