/**
 * The kernel's error numbers as Spindle's codes: what each means here and what the operator should do.
 * docs/reference/errors.md has the same rows; a test compares them. Numbers are those of Linux on
 * all architectures that Node.js runs on but MIPS (asm-generic/errno.h).
 */
import type { KernelError } from "./kernel-error.js";

export interface Errno {
  readonly code: string;
  /** Can trying again without a change by the operator succeed? */
  readonly retryable: boolean;
  readonly meaning: string;
  readonly remedy: string;
}

export const errnos: ReadonlyMap<number, Errno> = new Map([
  row(1, "EPERM", false, "the agent may not program the kernel", "run it as root or with CAP_NET_ADMIN in the network namespace that it serves"),
  row(2, "ENOENT", false, "the kernel does not know the policy", "nothing: deleting the absent succeeds"),
  row(3, "ESRCH", false, "the kernel does not hold the SA", "nothing: deleting the absent succeeds; an update is sent again as an addition"),
  row(4, "EINTR", true, "a signal came first", "nothing; it is tried again"),
  row(11, "EAGAIN", true, "the kernel had no room or no time just now", "nothing; it is tried again"),
  row(12, "ENOMEM", true, "the kernel has no memory for another SA or policy", "free memory on the node; it is tried again"),
  row(16, "EBUSY", true, "the kernel is changing the same entry", "nothing; it is tried again"),
  row(17, "EEXIST", false, "the slot is taken by another SA or policy", "`ip xfrm state` shows who holds it; an SA of ours is replaced, a foreign one is left alone and this node takes a new incarnation"),
  row(22, "EINVAL", false, "the kernel rejects a field; its own words say which", "check the key length, the replay window and the mode; report it if none is unusual"),
  row(34, "ERANGE", false, "a length is outside what the kernel takes", "check the replay window"),
  row(38, "ENOSYS", false, "the kernel lacks the cipher", "load `gcm`, `ctr`, `aes` and `ghash` (`modprobe rfc4106` where it is one module), or use a kernel built with CONFIG_CRYPTO_GCM"),
  row(90, "EMSGSIZE", false, "a message is longer than the socket or the kernel takes", "report it"),
  row(93, "EPROTONOSUPPORT", false, "the kernel lacks ESP or the address family", "load `xfrm_user`, `esp4` and `esp6`, or use a kernel built with CONFIG_INET_ESP and CONFIG_INET6_ESP"),
  row(95, "EOPNOTSUPP", false, "the kernel lacks this kind of request", "use a kernel of 4.19 or newer"),
  row(97, "EAFNOSUPPORT", false, "the kernel has no such address family or no netlink for XFRM", "load `xfrm_user`; enable IPv6 or use IPv4 addresses only"),
  row(105, "ENOBUFS", true, "an answer or notification did not fit the socket's buffer", "nothing; everything is read again. If it recurs, give the agent CAP_NET_ADMIN so that it may enlarge its buffers"),
]);

/** What the operator should do about a code of this table; null for any other. */
export function remedyFor(code: string): string | null {
  return [...errnos.values()].find((row) => row.code === code)?.remedy ?? null;
}

/** Was there nothing to delete or to read? SAs answer ESRCH, policies ENOENT. */
export function isAbsence({ errno }: KernelError): boolean {
  return errno === 2 || errno === 3;
}

/** Is the slot taken (EEXIST)? */
export function isCollision({ errno }: KernelError): boolean {
  return errno === 17;
}

/** For a number that the table does not have. */
const unknown = { code: "XFRM_REFUSED", retryable: true } as const;

export interface CodedError {
  readonly code: string;
  readonly retryable: boolean;
  readonly message: string;
}

/** The kernel's own words come first: they are the most exact. */
export function describeKernelError(error: KernelError): CodedError {
  const known = errnos.get(error.errno);
  const { code, retryable } = known ?? unknown;
  const meaning = known?.meaning ?? `the kernel refused with error ${error.errno}`;
  const place = error.offset === null ? "" : ` (at byte ${error.offset} of the request)`;
  const words = error.text === null ? meaning : `${error.text}${place}: ${meaning}`;
  return { code, retryable, message: words };
}

function row(
  number: number,
  code: string,
  retryable: boolean,
  meaning: string,
  remedy: string,
): readonly [number, Errno] {
  return [number, { code, retryable, meaning, remedy }];
}
