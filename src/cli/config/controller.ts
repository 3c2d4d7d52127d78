/**
 * The controller's configuration: the fields as they stand in the file, the relations between them,
 * and the value that the program works with. The annotated example is examples/controller.yaml.
 */
import { resolve } from "node:path";
import { z } from "zod";
import type { KeyRing } from "../../core/key-id.js";
import { limits } from "../../core/limits.js";
import type { NodeName } from "../../core/node.js";
import { formatDuration } from "../duration.js";
import { durationField, nodeNameField, pathField, secretFileField, secretNameField, shareField } from "./fields.js";
import { namespaceField } from "./kubernetes.js";
import {
  checkControllerRegistry,
  leaderRegistrySection,
  toControllerRegistry,
  type ControllerRegistryConfig,
} from "./registry.js";
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
export interface ControllerConfig {
  readonly schemaVersion: 1;
  readonly name: NodeName;
  readonly stateDir: string;
  readonly registry: ControllerRegistryConfig;
  readonly coordination: "barrier" | "pairwise";
  readonly keyFile: { readonly ring: KeyRing };
  readonly rotation: ControllerRotationConfig;
  readonly stragglers: StragglersConfig;
  readonly preflight: PreflightConfig;
  /** Of the leader: another controller takes over when it was not renewed that long. */
  readonly lease: { readonly durationMs: number };
  /** Null when switched off. */
  readonly metrics: MetricsConfig | null;
  readonly log: LogConfig;
}

export interface ControllerRotationConfig {
  readonly start: "auto" | "manual";
  readonly durationMs: number;
  readonly drainMs: number;
  readonly stageDeadlineMs: number;
  readonly retireDeadlineMs: number;
  readonly emergencyDeadlineMs: number;
  /** Null where people make the next key. */
  readonly generate: GenerateConfig | null;
  /** Null where rotations are only asked for. */
  readonly everyMs: number | null;
}

/** Where the controller writes the next key: a Secret that the nodes mount. */
export interface GenerateConfig {
  readonly secret: string;
  readonly file: string;
  /** Null: the registry's. */
  readonly namespace: string | null;
}

export interface StragglersConfig {
  readonly slow: "wait" | "abort";
  readonly silent: "exclude" | "wait";
  readonly silentAfterMs: number;
  readonly excludeShareMax: number;
}

/** What the pre-flight check assumes of the agents, whose files the controller does not see. */
export interface PreflightConfig {
  readonly jitterMaxMs: number;
  readonly jitterMinNodes: number;
  readonly keyDistributionMs: number;
}

export const controllerSchema = z.strictObject({
  schemaVersion: z.literal(1),
  name: nodeNameField,
  stateDir: pathField,
  registry: leaderRegistrySection,
  coordination: coordinationField,
  keyFile: z.strictObject({ ring: keyRingField }).prefault({}),
  rotation: z
    .strictObject({
      start: z.enum(["auto", "manual"]).default("auto"),
      duration: durationField().default(defaultMs.duration),
      drain: durationField({ min: limits.drainMsMin }).default(defaultMs.drain),
      stageDeadline: durationField().default(defaultMs.stageDeadline),
      retireDeadline: durationField().default(defaultMs.retireDeadline),
      emergencyDeadline: durationField().default(defaultMs.emergencyDeadline),
      generate: z
        .strictObject({
          secret: secretNameField,
          file: secretFileField.default("keys"),
          namespace: namespaceField.optional(),
        })
        .optional(),
      every: durationField({ min: 1, max: limits.rotationEveryMsMax }).optional(),
    })
    .prefault({}),
  stragglers: z
    .strictObject({
      slow: z.enum(["wait", "abort"]).default("wait"),
      silent: z.enum(["exclude", "wait"]).default("exclude"),
      silentAfter: durationField().default(limits.silentMsDefault),
      excludeShareMax: shareField.default(limits.excludeShareMaxDefault),
    })
    .prefault({}),
  preflight: z
    .strictObject({
      jitterMax: durationField({ min: 0 }).optional(),
      jitterMinNodes: z.int().min(1).max(limits.peersMax).default(limits.jitterMinNodesDefault),
      keyDistribution: durationField({ min: 0 }).default(limits.keyDistributionMsDefault),
    })
    .prefault({}),
  lease: z
    .strictObject({ duration: durationField({ min: 1_000 }).default(limits.leaseMsDefault) })
    .prefault({}),
  metrics: metricsSection,
  log: logSection,
});

/** The fields after parsing, under the names of the file; durations are milliseconds. */
export type ControllerFields = z.output<typeof controllerSchema>;

export function checkController(fields: ControllerFields, folder: string): readonly Remark[] {
  return [
    ...checkControllerRegistry(fields.registry, folder),
    ...checkDeadlines(fields.rotation),
    ...checkGenerate(fields),
    ...checkLease(fields),
    ...checkMetrics(fields.metrics),
  ];
}

/** Keys are written into Secrets, by who decides for the fleet. */
function checkGenerate({ rotation, registry, coordination }: ControllerFields): readonly Remark[] {
  const { generate, every, duration } = rotation;
  const remarks: Remark[] = [];
  const add = (field: string, message: string): number => remarks.push({ path: ["rotation", field], message });
  if (generate !== undefined && registry.kind !== "kubernetes") add("generate", "needs registry.kind kubernetes: there are no Secrets elsewhere");
  if (generate !== undefined && coordination === "pairwise") add("generate", "needs coordination barrier: a pairwise fleet has nobody to ask");
  if (every !== undefined && generate === undefined) add("every", "needs rotation.generate: who makes the key?");
  if (every !== undefined && every <= duration) add("every", `must be longer than rotation.duration (${formatDuration(duration)})`);
  return remarks;
}

/** A lease must have ended before its node counts as silent. */
function checkLease({ lease, stragglers }: ControllerFields): readonly Remark[] {
  if (lease.duration < stragglers.silentAfter) return [];
  const leaseText = formatDuration(lease.duration);
  return [
    {
      path: ["stragglers", "silentAfter"],
      message: `must be longer than lease.duration (${leaseText})`,
    },
  ];
}

/** What is accepted although it is probably not what was meant. */
export function warnAboutController({
  rotation,
  coordination,
  registry,
}: ControllerFields): readonly Remark[] {
  if (coordination === "pairwise" && registry.kind === "etcd") {
    const message = "is pairwise and the registry is elsewhere: this controller does nothing";
    return [{ path: ["coordination"], message }];
  }
  if (coordination === "pairwise" && rotation.start === "manual") {
    const message =
      "has no effect in pairwise coordination: each agent starts when its key file changes";
    return [{ path: ["rotation", "start"], message }];
  }
  return [];
}

/** @param fields ones that `checkController` found nothing wrong with */
export function toControllerConfig(fields: ControllerFields, folder: string): ControllerConfig {
  const { rotation, stragglers } = fields;
  const stateDir = resolve(folder, fields.stateDir);
  return {
    schemaVersion: fields.schemaVersion,
    name: fields.name,
    stateDir,
    registry: toControllerRegistry(fields.registry, folder, stateDir),
    coordination: fields.coordination,
    keyFile: fields.keyFile,
    rotation: {
      start: rotation.start,
      durationMs: rotation.duration,
      drainMs: rotation.drain,
      stageDeadlineMs: rotation.stageDeadline,
      retireDeadlineMs: rotation.retireDeadline,
      emergencyDeadlineMs: rotation.emergencyDeadline,
      generate: toGenerate(rotation.generate),
      everyMs: rotation.every ?? null,
    },
    stragglers: {
      slow: stragglers.slow,
      silent: stragglers.silent,
      silentAfterMs: stragglers.silentAfter,
      excludeShareMax: stragglers.excludeShareMax,
    },
    preflight: toPreflight(fields),
    lease: { durationMs: fields.lease.duration },
    metrics: toMetrics(fields.metrics, folder),
    log: fields.log,
  };
}

function toGenerate(section: ControllerFields["rotation"]["generate"]): GenerateConfig | null {
  return section === undefined ? null : { ...section, namespace: section.namespace ?? null };
}

/** The jitter maximum is what an agent with the same `rotation.duration` has by default. */
function toPreflight({ preflight, rotation }: ControllerFields): PreflightConfig {
  const {
    jitterMax = Math.floor(rotation.duration / 2),
    jitterMinNodes,
    keyDistribution,
  } = preflight;
  return { jitterMaxMs: jitterMax, jitterMinNodes, keyDistributionMs: keyDistribution };
}
