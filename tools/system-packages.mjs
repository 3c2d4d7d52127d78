/**
 * Debian packages that tests use beyond Node.js itself. As root a missing one is installed; anyone
 * else gets a skip with the reason and the command. In CI nothing may skip, so there a missing
 * package fails the run.
 */
import { existsSync } from "node:fs";
import { runCommand } from "./command.mjs";

/**
 * @typedef {object} SystemPackage
 * @property {string} name the Debian package
 * @property {string} file what it installs; it is there when this file is
 * @property {string} neededFor the tests, in words
 */

const kernelTests = "tests on a real kernel";
const registryTests = "tests on a real registry";
const apiServerBuild = "building a Kubernetes API server for the tests";

/** @type {readonly SystemPackage[]} */
export const systemPackages = [
  { name: "user-mode-linux", file: "/usr/bin/linux.uml", neededFor: kernelTests },
  { name: "kmod", file: "/sbin/modprobe", neededFor: kernelTests },
  { name: "iproute2", file: "/sbin/ip", neededFor: kernelTests },
  { name: "nftables", file: "/usr/sbin/nft", neededFor: "tests of spindle doctor with a firewall" },
  { name: "iptables", file: "/usr/sbin/iptables-legacy", neededFor: kernelTests },
  { name: "etcd-server", file: "/usr/bin/etcd", neededFor: registryTests },
  { name: "etcd-client", file: "/usr/bin/etcdctl", neededFor: registryTests },
  { name: "openssl", file: "/usr/bin/openssl", neededFor: registryTests },
  { name: "golang-go", file: "/usr/bin/go", neededFor: apiServerBuild },
  { name: "rsync", file: "/usr/bin/rsync", neededFor: apiServerBuild },
  { name: "jq", file: "/usr/bin/jq", neededFor: apiServerBuild },
  { name: "make", file: "/usr/bin/make", neededFor: apiServerBuild },
  { name: "openvpn", file: "/usr/sbin/openvpn", neededFor: "tests of VPN gateways" },
  { name: "chromium", file: "/usr/bin/chromium", neededFor: "tests of pages in a browser" },
  { name: "prometheus", file: "/usr/bin/promtool", neededFor: "tests of alert rules and the dashboard" },
  { name: "systemd", file: "/usr/bin/systemd-analyze", neededFor: "tests of systemd units" },
];

/** @param {readonly SystemPackage[]} table */
export function missingPackages(table = systemPackages) {
  return table.filter((row) => !existsSync(row.file));
}

/**
 * Installs what is missing, where that is allowed. What cannot be installed is skipped by its
 * tests.
 */
export async function installMissing(table = systemPackages) {
  const names = missingPackages(table).map((row) => row.name);
  if (names.length === 0 || process.getuid?.() !== 0 || !existsSync("/usr/bin/apt-get")) return;
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["install", "--yes", "--no-install-recommends", ...names];
  await runCommand("reading package lists", "apt-get", ["update", "--quiet"], env);
  await runCommand(`installing ${names.join(", ")}`, "apt-get", install, env);
}

/**
 * For the `skip` option of a test.
 * @param {string} name
 * @returns {string | false} why the test cannot run, or false when it can
 */
export function skipWithout(name, table = systemPackages) {
  const row = table.find((one) => one.name === name);
  if (row === undefined) throw new Error(`${name} is not in tools/system-packages.mjs`);
  if (missingPackages([row]).length === 0) return false;
  return `${row.neededFor}: needs the Debian package ${name} (apt-get install ${name})`;
}
