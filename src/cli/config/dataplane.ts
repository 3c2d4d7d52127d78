/** What encrypts: the section of the agent's file, and what in the rest of the file depends on it. */
import { resolve } from "node:path";
import { z } from "zod";
import { limits } from "../../core/limits.js";
import { defaultOwnership } from "../../adapters/netlink/kernel/ownership.js";
import { pathField } from "./fields.js";
import { checkSocket, type Remark } from "./sections.js";

export type DataplaneConfig =
  | { readonly kind: "userspace"; readonly socket: string }
  | KernelDataplaneConfig;

/** The XFRM of the network namespace that the agent runs in. */
export interface KernelDataplaneConfig {
  readonly kind: "kernel";
  /** What marks an SA as ours. */
  readonly reqid: number;
  /** Of inbound SAs, in packets. */
  readonly replayWindow: number;
  /** A peer goes over to a new key only when a probe with it was answered. */
  readonly provesPaths: boolean;
  /** UDP port of probes: every node answers there. */
  readonly probePort: number;
  /** Start although Cilium's IPsec seems to be on this host. */
  readonly besideCilium: boolean;
}

/** High, because other IPsec programs count theirs up from 1. */
const reqidMin = 0x1_0000;
const reqidMax = 0xffff_ffff;

/** Fields of one kind have no default here, so that one that would do nothing is noticed. */
export const dataplaneSection = z.strictObject({
  kind: z.enum(["userspace", "kernel"]).default("userspace"),
  socket: pathField.optional(),
  reqid: z.int().min(reqidMin).max(reqidMax).optional(),
  encapsulation: z.enum(["none", "udp"]).optional(),
  ipsecMode: z.enum(["transport", "tunnel"]).optional(),
  besideCilium: z.boolean().optional(),
  replayWindow: z.int().min(limits.replayWindowMin).max(limits.replayWindowMax).optional(),
  provePaths: z.boolean().optional(),
  probePort: z.int().min(1).max(65_535).optional(),
});

export type DataplaneFields = z.output<typeof dataplaneSection>;

const fieldsOf = {
  userspace: ["socket"],
  kernel: ["reqid", "replayWindow", "provePaths", "probePort", "encapsulation", "ipsecMode", "besideCilium"],
} as const;

export function checkDataplane(fields: DataplaneFields, folder: string): readonly Remark[] {
  const other = fields.kind === "kernel" ? "userspace" : "kernel";
  const misplaced = fieldsOf[other].filter((name) => fields[name] !== undefined);
  const remarks = misplaced.map((name): Remark => ({
    path: ["dataplane", name],
    message: `goes with kind ${other}, and kind is ${fields.kind}`,
  }));
  if (fields.kind === "userspace" && fields.socket === undefined)
    remarks.push({ path: ["dataplane"], message: "needs socket, or kind: kernel" });
  return [...remarks, ...checkSocket(fields.socket, ["dataplane", "socket"], folder)];
}

const udpPortDefault = 4500;

export function checkUdpPort(udpPort: number | undefined, dataplane: DataplaneFields): readonly Remark[] {
  if (isUdp(dataplane) || udpPort === undefined) return [];
  const message = "goes with dataplane.encapsulation udp: otherwise the kernel sends plain ESP";
  return [{ path: ["node", "udpPort"], message }];
}

/** Null for plain ESP. */
export function toUdpPort(udpPort: number | undefined, dataplane: DataplaneFields): number | null {
  return isUdp(dataplane) ? (udpPort ?? udpPortDefault) : null;
}

function isUdp({ kind, encapsulation }: DataplaneFields): boolean {
  return kind === "userspace" || encapsulation === "udp";
}

/** @param fields ones that `checkDataplane` found nothing wrong with */
export function toDataplane(fields: DataplaneFields, folder: string): DataplaneConfig {
  const { kind, socket = "", reqid = defaultOwnership.reqid } = fields;
  if (kind === "userspace") return { kind, socket: resolve(folder, socket) };
  const { replayWindow = limits.replayWindowDefault, besideCilium = false } = fields;
  const { provePaths: provesPaths = true, probePort = limits.probePortDefault } = fields;
  return { kind, reqid, replayWindow, provesPaths, probePort, besideCilium };
}
