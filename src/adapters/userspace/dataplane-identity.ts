/**
 * What the state of one run of the userspace dataplane is bound to: it lives in the process and
 * dies with it.
 */
import { randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import type { DataplaneIdentity } from "../../ports/kernel.js";

/**
 * Reads boot and network namespace from Linux; elsewhere both are constant. `instance` differs with
 * each call.
 */
export function makeIdentity(): DataplaneIdentity {
  return {
    bootId: readOr("no-boot-id", () =>
      readFileSync("/proc/sys/kernel/random/boot_id", "ascii").trim(),
    ),
    networkNamespace: readOr("no-network-namespace", () => readlinkSync("/proc/self/ns/net")),
    instance: randomBytes(16).toString("hex"),
  };
}

function readOr(otherwise: string, read: () => string): string {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
