/** Runs a program of the repository on a kernel that has ESP (src/lab/guest). */
import { findKernelHost } from "../../src/lab/guest/kernel-host.js";
import {
  runInKernel as runGuest,
  type GuestOptions as AllGuestOptions,
  type GuestResult,
} from "../../src/lab/guest/run-in-kernel.js";
import { root } from "./repository.js";

export { findKernelHost } from "../../src/lab/guest/kernel-host.js";
export type { GuestResult } from "../../src/lab/guest/run-in-kernel.js";

export type GuestOptions = Omit<AllGuestOptions, "host" | "workingFolder">;

/** @param program absolute path */
export function runInKernel(
  program: string,
  args: readonly string[],
  options: GuestOptions,
): Promise<GuestResult> {
  const host = findKernelHost(options.withoutModules);
  if (typeof host !== "string") throw new Error(host.missing);
  return runGuest(program, args, { ...options, host, workingFolder: root });
}
