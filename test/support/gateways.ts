/** What tests of gateways need of this machine. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { root } from "./repository.js";

const path = pathToFileURL(join(root, "tools/system-packages.mjs")).href;
const { skipWithout } = (await import(path)) as { readonly skipWithout: (name: string) => string | false };

/**
 * For the `skip` option of a test.
 * @param packages Debian packages
 */
export function gatewaysMissing(packages: readonly string[] = ["openvpn", "iproute2"]): string | false {
  if (process.getuid?.() !== 0) return "gateways need root, for network namespaces and tunnel devices";
  if (!existsSync("/dev/net/tun")) return "gateways need /dev/net/tun (modprobe tun)";
  return packages.map((name) => skipWithout(name)).find((reason) => reason !== false) ?? false;
}
