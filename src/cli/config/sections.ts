/** Parts that the files of agent and controller share, and the checks that belong to them. */
import { resolve } from "node:path";
import { z } from "zod";
import { limits } from "../../core/limits.js";
import type { LogLevel } from "../../ports/log.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import { isLoopback } from "../../http/listen.js";
import type { ServiceTls } from "../../http/tls.js";
import { formatDuration } from "../duration.js";
import type { FieldPath } from "./document.js";
import { hostField, listenField, logLevelField, pathField, portField } from "./fields.js";

/** A relation between fields that does not hold, or does not make sense. */
export interface Remark {
  readonly path: FieldPath;
  readonly message: string;
}

export const metricsSection = z
  .strictObject({
    enabled: z.boolean().default(true),
    listen: listenField.prefault("127.0.0.1:0"),
    tls: z
      .strictObject({ certificate: pathField, key: pathField, clientCa: pathField.optional() })
      .optional(),
  })
  .prefault({});

export const logSection = z.strictObject({ level: logLevelField.default("info") }).prefault({});

export const coordinationField = z.enum(["barrier", "pairwise"]).default("barrier");

export const keyRingField = z.literal([255, 15]).default(255);

/** Where a service is: a unix socket, or host and port. */
export const placeFields = {
  socket: pathField.optional(),
  host: hostField.optional(),
  port: portField.optional(),
};

export interface Place {
  readonly socket?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
}

export interface MetricsConfig {
  readonly listen: ServiceAddress;
  readonly tls: ServiceTls | null;
}

export interface LogConfig {
  readonly level: LogLevel;
}

/** Null when switched off. */
export function toMetrics(
  section: z.output<typeof metricsSection>,
  folder: string,
): MetricsConfig | null {
  const { enabled, listen, tls } = section;
  if (!enabled) return null;
  return {
    listen: listen.kind === "tcp" ? listen : { kind: "unix", path: resolve(folder, listen.path) },
    tls: tls === undefined ? null : toServiceTls(tls, folder),
  };
}

function toServiceTls(
  { certificate, key, clientCa }: NonNullable<z.output<typeof metricsSection>["tls"]>,
  folder: string,
): ServiceTls {
  return {
    certificateFile: resolve(folder, certificate),
    keyFile: resolve(folder, key),
    clientAuthorityFile: clientCa === undefined ? null : resolve(folder, clientCa),
  };
}

export function checkMetrics({ listen, tls }: z.output<typeof metricsSection>): readonly Remark[] {
  if (listen.kind === "unix") {
    return tls === undefined ? [] : [{ path: ["metrics", "tls"], message: "has no effect on a unix socket" }];
  }
  if (tls !== undefined || isLoopback(listen.host)) return [];
  const message = "is not a loopback address: it needs metrics.tls, best with a clientCa";
  return [{ path: ["metrics", "listen"], message }];
}

/** @param place one that `checkPlace` found nothing wrong with */
export function toServiceAddress(place: Place, folder: string): ServiceAddress {
  const { socket, host = "", port = 0 } = place;
  return socket === undefined
    ? { kind: "tcp", host, port }
    : { kind: "unix", path: resolve(folder, socket) };
}

export function checkPlace(place: Place, path: FieldPath, folder: string): readonly Remark[] {
  const hasSocket = place.socket !== undefined;
  const hasHost = place.host !== undefined && place.port !== undefined;
  const hasEither = place.host !== undefined || place.port !== undefined;
  if (hasSocket && hasEither)
    return [{ path, message: "has both a socket and a host or port: give one of them" }];
  if (!hasSocket && !hasHost) return [{ path, message: "needs socket, or host and port" }];
  return checkSocket(place.socket, [...path, "socket"], folder);
}

/** `sun_path` of unix(7), less the final zero byte. */
const socketPathBytesMax = 107;

export function checkSocket(
  socket: string | undefined,
  path: FieldPath,
  folder: string,
): readonly Remark[] {
  if (socket === undefined) return [];
  const length = Buffer.byteLength(resolve(folder, socket));
  if (length <= socketPathBytesMax) return [];
  return [
    {
      path,
      message: `is ${length} bytes as a full path; a unix socket may have ${socketPathBytesMax}`,
    },
  ];
}

/** Durations that a rotation needs in both programs. */
export interface Deadlines {
  readonly drain: number;
  readonly retireDeadline: number;
}

export function checkDeadlines({ drain, retireDeadline }: Deadlines): readonly Remark[] {
  if (drain < retireDeadline) return [];
  const deadline = formatDuration(retireDeadline);
  return [
    {
      path: ["rotation", "drain"],
      message: `must be shorter than rotation.retireDeadline (${deadline})`,
    },
  ];
}

/** Defaults of the durations, from the limits. */
export const defaultMs = {
  duration: limits.rotationDurationMsDefault,
  drain: limits.drainMsDefault,
  stageDeadline: limits.stageDeadlineMsDefault,
  retireDeadline: limits.retireDeadlineMsDefault,
  emergencyDeadline: limits.emergencyDeadlineMsDefault,
};
