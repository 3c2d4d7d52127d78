/** The faults of a netlink socket as coded errors. */
import { PortError } from "../../port-error.js";
import { describeKernelError } from "../codec/errno.js";
import type { KernelError } from "../codec/kernel-error.js";

export function kernelFailure(error: KernelError): PortError {
  const { code, message, retryable } = describeKernelError(error);
  return new PortError(code, message, retryable);
}

/** Of a system call. */
export function systemFailure(errno: number): PortError {
  return kernelFailure({ errno, text: null, offset: null });
}

/** It is not known what the kernel did: read back. */
export function answerLost(why: string): PortError {
  return new PortError("NETLINK_ANSWER_LOST", `the kernel's answer was lost: ${why}`, true);
}

export function socketClosed(): PortError {
  return new PortError("NETLINK_CLOSED", "the netlink socket is closed", false);
}

export function dumpUnstable(): PortError {
  const message = "the kernel's table changed during every attempt to read it";
  return new PortError("NETLINK_DUMP_UNSTABLE", message, true);
}
