/**
 * The kinds of value that stand in configuration files. Each says what it accepts in one phrase,
 * which is shown when something else stands there.
 */
import { isIP, isIPv4 } from "node:net";
import { z } from "zod";
import { canonicalIpv6 } from "../../adapters/ip-address.js";
import { parseNodeName } from "../../core/node.js";
import { limits } from "../../core/limits.js";
import { durationWords, formatDuration, parseDuration } from "../duration.js";

/** Milliseconds after parsing. */
export function durationField(
  rangeMs: { readonly min: number; readonly max?: number } = { min: 1 },
) {
  const { min, max = limits.configDurationMsMax } = rangeMs;
  return z
    .union([z.number(), z.string()])
    .transform((value, context) => {
      const durationMs = parseDuration(value);
      if (durationMs !== null && durationMs >= min && durationMs <= max) return durationMs;
      const range = `from ${formatDuration(min)} to ${formatDuration(max)}`;
      return refuse(context, `must be ${durationWords}, ${range}`);
    })
    .describe(durationWords);
}

export const nodeNameField = z
  .string()
  .transform((text, context) => {
    const name = parseNodeName(text);
    return name.ok ? name.value : refuse(context, name.error);
  })
  .describe("a name of lower case letters, digits, - and .");

/** Resolved against the folder of the file later. */
export const pathField = z
  .string()
  .min(1)
  .describe("a path (a relative one starts at the folder of this file)");

export const portField = z.int().min(1).max(65_535);

export const shareField = z.number().min(0).max(1);

export const ipv4Field = z
  .string()
  .refine((text) => isIPv4(text) && isUnicast(text), {
    error: "must be an IPv4 address of one host",
  })
  .describe("an IPv4 address of one host");

/** In canonical form after parsing, so that two spellings of one address are equal. */
export const ipv6Field = z
  .string()
  .transform((text, context) => {
    const canonical = canonicalIpv6(text);
    const message = "must be an IPv6 address of one host, without a zone";
    return canonical !== null && isUnicast(canonical) ? canonical : refuse(context, message);
  })
  .describe("an IPv6 address of one host, without a zone");

export const hostField = z
  .string()
  .refine((text) => isIP(text) !== 0, { error: "must be an IP address (names are not looked up)" })
  .describe("an IP address");

const listenWords =
  "HOST:PORT with an IP address as the host (such as 127.0.0.1:9470 or [::1]:9470; port 0 " +
  "takes a free one), or the path of a unix socket";

/** A unix socket is told by the slash in it. */
export const listenField = z
  .string()
  .transform((text, context) => {
    if (text.includes("/")) return { kind: "unix" as const, path: text };
    const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
    const host = bracketed ?? plain;
    if (host === undefined || isIP(host) === 0 || Number(port) > 65_535)
      return refuse(context, `must be ${listenWords}`);
    return { kind: "tcp" as const, host, port: Number(port) };
  })
  .describe(listenWords);

const taintWords = "the key of a taint, such as spindle.dev/agent-not-ready";

/** A qualified name of Kubernetes: a DNS name and a slash, if any, and at most 63 characters. */
export const taintKeyField = z
  .string()
  .regex(/^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/, {
    error: `must be ${taintWords}`,
  })
  .describe(taintWords);

const secretWords = "the name of a Secret: at most 253 of a-z, 0-9, - and .";

export const secretNameField = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/, { error: `must be ${secretWords}` })
  .describe(secretWords);

const secretFileWords = "the name of a file in a Secret: at most 253 of letters, digits, -, _ and .";

export const secretFileField = z
  .string()
  .max(253)
  .regex(/^(?!\.\.?$)[-._a-zA-Z0-9]+$/, { error: `must be ${secretFileWords}` })
  .describe(secretFileWords);

export const logLevelField = z.enum(["error", "warn", "info", "debug"]);

function refuse(context: z.core.$RefinementCtx, message: string): never {
  context.issues.push({ code: "custom", message, input: context.value });
  return z.NEVER;
}

/**
 * Not "any", broadcast, multicast or an IPv4 address in IPv6 form: an SA has one host at each end.
 */
function isUnicast(address: string): boolean {
  if (isIPv4(address)) {
    const first = Number(address.split(".")[0]);
    return first !== 0 && first < 224;
  }
  return address !== "::" && !address.startsWith("ff");
}
