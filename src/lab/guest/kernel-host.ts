/**
 * Where a program can run on a kernel with ESP: on this host's own, if it has ESP and we may use
 * it, else in User-Mode Linux, which boots as an ordinary process and needs no privileges.
 */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

export type KernelHost = "native" | "user-mode-linux";

export const linuxProgram = "/usr/bin/linux.uml";

/**
 * @param withoutModules from a kernel of our own modules can be withheld, never from the host's
 * @returns which kernel can be used, or all that is missing
 */
export function findKernelHost(
  withoutModules: readonly string[] = [],
): KernelHost | { readonly missing: string } {
  const why = withoutModules.length > 0 ? "modules are to be missing" : whyHostLacksEsp();
  return why === null ? "native" : findGuest(why, existsSync);
}

const guestPrograms = [linuxProgram, "/sbin/modprobe", "/sbin/ip", "/usr/bin/unshare"];

/** @param why the host's own kernel cannot be used */
export function findGuest(
  why: string,
  exists: (program: string) => boolean,
): "user-mode-linux" | { readonly missing: string } {
  const absent = guestPrograms.filter((program) => !exists(program));
  if (absent.length === 0) return "user-mode-linux";
  const packages = "apt-get install user-mode-linux kmod iproute2";
  const missing =
    `this host's kernel cannot be used (${why}), and for User-Mode Linux ` +
    `${absent.join(", ")} ${absent.length === 1 ? "is" : "are"} missing: ${packages}`;
  return { missing };
}

/** Null when this process can make a network namespace and an SA with our cipher in it. */
function whyHostLacksEsp(): string | null {
  const key = `0x${"00".repeat(20)}`;
  const add =
    `ip xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000001 ` +
    `mode transport aead 'rfc4106(gcm(aes))' ${key} 128`;
  const { status, stderr, error } = spawnSync("unshare", ["--net", "sh", "-c", add], {
    encoding: "utf8",
  });
  if (status === 0) return null;
  const words = error === undefined ? stderr : error.message;
  return words.trim().split("\n").at(-1) ?? "it has no ESP";
}
