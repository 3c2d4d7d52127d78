/**
 * How strict the node is with plain packets: the section of the agent's file, and what in the rest of
 * the file depends on it.
 */
import { isIP } from "node:net";
import { z } from "zod";
import { readAddress, writeAddress } from "../../adapters/netlink/codec/address.js";
import type { Prefix } from "../../adapters/netlink/codec/model.js";
import type { Guard } from "../../adapters/netlink/kernel/guard.js";
import { limits } from "../../core/limits.js";
import { policyLevels, type PolicyLevel } from "../../core/policy-level.js";
import { portField } from "./fields.js";
import type { Remark } from "./sections.js";

export interface PolicyConfig {
  readonly level: PolicyLevel;
  /** Null below `require`, and without CIDRs. */
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

/** Null for what is none. */
export function parseCidr(text: string): Prefix | null {
  const [, address = "", digits = ""] = /^([0-9a-fA-F.:]+)\/(\d{1,3})$/.exec(text) ?? [];
  const version = isIP(address);
  const length = Number(digits);
  if (version === 0 || length > (version === 4 ? 32 : 128)) return null;
  const family = version === 4 ? "ipv4" : "ipv6";
  const bytes = new Uint8Array(16);
  writeAddress(bytes, 0, family, address);
  if (hasHostBits(bytes, length)) return null;
  return { address: readAddress(bytes, 0, family), length };
}

function hasHostBits(bytes: Uint8Array, length: number): boolean {
  return bytes.some((byte, place) => {
    const networkBits = Math.min(8, Math.max(0, length - 8 * place));
    return (byte & (0xff >> networkBits)) !== 0;
  });
}

/** Fields that the checks look at besides. */
interface Surroundings {
  readonly dataplane: { readonly kind: string };
  readonly registry: { readonly host?: string | undefined; readonly port?: number | undefined };
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
  const { host, port } = registry;
  if (host === undefined || port === undefined || bypass.tcpPorts.includes(port)) return remarks;
  const within = cidrs.find((cidr) => contains(cidr, host));
  if (within === undefined) return remarks;
  const network = `${within.address}/${within.length}`;
  const message = `must hold ${port}: the registry at ${host} is within ${network}, and a node without a key could never reach it`;
  return [...remarks, { path: ["policy", "bypass", "tcpPorts"], message }];
}

function kernelOnly(what: string, kind: string): string {
  return `${what} goes with dataplane.kind kernel, and kind is ${kind}`;
}

function contains({ address, length }: Prefix, host: string): boolean {
  const [network, member] = [new Uint8Array(16), new Uint8Array(16)];
  const family = isIP(host) === 4 ? "ipv4" : "ipv6";
  if (family !== (isIP(address) === 4 ? "ipv4" : "ipv6")) return false;
  writeAddress(network, 0, family, address);
  writeAddress(member, 0, family, host);
  return !hasHostBits(network.map((byte, place) => byte ^ keepNetwork(member[place]!, place, length)), 0);
}

function keepNetwork(byte: number, place: number, length: number): number {
  const networkBits = Math.min(8, Math.max(0, length - 8 * place));
  return byte & ~(0xff >> networkBits);
}

export function toPolicy({ level, cidrs, bypass }: PolicyFields): PolicyConfig {
  if (level !== "require" || cidrs.length === 0) return { level, guard: null };
  return { level, guard: { cidrs, bypassTcpPorts: bypass.tcpPorts } };
}
