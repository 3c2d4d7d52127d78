/**
 * How strict the node is with plain packets: the section of the agent's file, and what in the rest of
 * the file depends on it.
 */
import { z } from "zod";
import { contains, parseCidr } from "../../adapters/cidr.js";
import type { Guard } from "../../adapters/netlink/kernel/guard.js";
import type { Prefix } from "../../adapters/netlink/codec/model.js";
import { limits } from "../../core/limits.js";
import { policyLevels, type PolicyLevel } from "../../core/policy-level.js";
import { portField } from "./fields.js";
import type { Remark } from "./sections.js";

export interface PolicyConfig {
  readonly level: PolicyLevel;
  /** Null without CIDRs. In force at `require`. */
  readonly guard: Guard | null;
}

const cidrWords = "a network such as 10.0.0.0/8 or fd00::/8, without host bits";

/** Canonical after parsing, as the kernel gives it back. */
const cidrField = z
  .string()
  .transform((text, context) => {
    const prefix = parseCidr(text);
    if (prefix !== null) return prefix;
    context.issues.push({ code: "custom", message: `must be ${cidrWords}`, input: text });
    return z.NEVER;
  })
  .describe(cidrWords);

export const policySection = z
  .strictObject({
    level: z.enum(policyLevels).default("require"),
    cidrs: z.array(cidrField).max(limits.policyCidrsMax).default([]),
    bypass: z
      .strictObject({ tcpPorts: z.array(portField).max(limits.policyBypassPortsMax).default([]) })
      .prefault({}),
  })
  .prefault({});

export type PolicyFields = z.output<typeof policySection>;

/** Fields that the checks look at besides. */
interface Surroundings {
  readonly dataplane: { readonly kind: string };
  readonly registry: {
    readonly host?: string | undefined;
    readonly port?: number | undefined;
    readonly etcd?: { readonly endpoints: readonly Endpoint[] } | undefined;
  };
}

interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export function checkPolicy(
  { level, cidrs, bypass }: PolicyFields,
  { dataplane, registry }: Surroundings,
): readonly Remark[] {
  const remarks: Remark[] = [];
  const isKernel = dataplane.kind === "kernel";
  if (!isKernel && level !== "require")
    remarks.push({ path: ["policy", "level"], message: kernelOnly(level, dataplane.kind) });
  if (!isKernel && cidrs.length > 0)
    remarks.push({ path: ["policy", "cidrs"], message: kernelOnly("cidrs", dataplane.kind) });
  if (cidrs.length === 0 && bypass.tcpPorts.length > 0)
    remarks.push({ path: ["policy", "bypass"], message: "needs policy.cidrs: without them nothing is blocked" });
  const blocked = endpointsOf(registry).flatMap((endpoint) => blockedRegistry(endpoint, cidrs, bypass.tcpPorts));
  return [...remarks, ...blocked];
}

/** Those that the file has by address: a host name is looked up only when the agent runs. */
function endpointsOf({ host, port, etcd }: Surroundings["registry"]): readonly Endpoint[] {
  const embedded = host === undefined || port === undefined ? [] : [{ host, port }];
  return [...embedded, ...(etcd?.endpoints ?? [])];
}

function blockedRegistry(
  { host, port }: Endpoint,
  cidrs: readonly Prefix[],
  tcpPorts: readonly number[],
): readonly Remark[] {
  const within = cidrs.find((cidr) => contains(cidr, host));
  if (within === undefined || tcpPorts.includes(port)) return [];
  const network = `${within.address}/${within.length}`;
  const message = `must hold ${port}: the registry at ${host} is within ${network}, and a node without a key could never reach it`;
  return [{ path: ["policy", "bypass", "tcpPorts"], message }];
}

function kernelOnly(what: string, kind: string): string {
  return `${what} goes with dataplane.kind kernel, and kind is ${kind}`;
}

export function toPolicy({ level, cidrs, bypass }: PolicyFields): PolicyConfig {
  return { level, guard: cidrs.length === 0 ? null : { cidrs, bypassTcpPorts: bypass.tcpPorts } };
}
