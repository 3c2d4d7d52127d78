/** Checks of this host alone: its kernel, its privileges, and what else does IPsec here. */
import { remedyFor } from "../../adapters/netlink/codec/errno.js";
import { limits } from "../../core/limits.js";
import type { AddressFamily } from "../../core/node.js";
import { sequenceShare } from "../../core/sa.js";
import type { Facts } from "./facts.js";
import { fine, finding, type Check, type Finding } from "./finding.js";

const families: readonly AddressFamily[] = ["ipv4", "ipv6"];

export const hostChecks: readonly Check[] = [
  platform,
  privileges,
  esp,
  xfrmStat,
  otherPrograms,
  otherEntries,
  ownAddresses,
  udpPort,
  reversePath,
  sequenceSpace,
  clock,
];

/** Of the program's fields and requests (codec/errno.ts), and of ESP in UDP over IPv6. */
const kernelMin = [4, 19] as const;
const kernelMinUdpIpv6 = [5, 8] as const;
/** The kernel that the tests run on; an older one has never been tried. */
const kernelTested = [6, 1] as const;

function platform({ platform: name, kernel, node }: Facts): readonly Finding[] {
  if (name !== "linux") {
    return [finding("platform", "obstacle", `${name} has no XFRM`, "run the agent on Linux, or use dataplane.kind userspace")];
  }
  const release = releaseOf(kernel);
  if (release === null) {
    return [finding("platform", "unknown", `Linux ${kernel}: its version is not understood`, "see that it is 6.1 or newer")];
  }
  if (isOlder(release, kernelMin)) {
    return [finding("platform", "obstacle", `Linux ${kernel} lacks what the dataplane needs`, "use a kernel of 4.19 or newer")];
  }
  const needsUdpIpv6 = node !== null && node.addresses.udpPort !== null && node.addresses.ipv6 !== null;
  if (needsUdpIpv6 && isOlder(release, kernelMinUdpIpv6)) {
    const todo = "use a kernel of 5.8 or newer, or leave node.addresses.ipv6 out";
    return [finding("platform", "obstacle", `Linux ${kernel} takes no ESP out of UDP over IPv6`, todo)];
  }
  if (isOlder(release, kernelTested)) {
    const todo = "rotate the keys of two nodes for a trial, with `spindle lab --dataplane kernel` on such a host";
    return [finding("platform", "unknown", `Linux ${kernel} is older than the 6.1 that the tests run on`, todo)];
  }
  return fine("platform", `Linux ${kernel}`);
}

type Release = readonly [major: number, minor: number];

function releaseOf(kernel: string): Release | null {
  const [, major, minor] = /^(\d+)\.(\d+)/.exec(kernel) ?? [];
  return major === undefined ? null : [Number(major), Number(minor)];
}

function isOlder([major, minor]: Release, [leastMajor, leastMinor]: Release): boolean {
  return major < leastMajor || (major === leastMajor && minor < leastMinor);
}

function privileges({ hasNetAdmin }: Facts): readonly Finding[] {
  const todo = remedyFor("EPERM") ?? "";
  if (hasNetAdmin === null) return [finding("privileges", "unknown", "/proc/self/status cannot be read", todo)];
  if (hasNetAdmin) return fine("privileges", "this user may program the network (CAP_NET_ADMIN)");
  return [finding("privileges", "obstacle", "CAP_NET_ADMIN is missing", todo)];
}

function esp({ esp: attempts, hasNetAdmin }: Facts): readonly Finding[] {
  if (hasNetAdmin === false) return [];
  return families.flatMap((family) => {
    const attempt = attempts[family];
    const check = `esp ${family}`;
    if (attempt.ok) return fine(check, "an SA with rfc4106(gcm(aes)) and extended sequence numbers can be made");
    const todo = remedyFor(attempt.code) ?? "see docs/reference/errors.md";
    return [finding(check, "obstacle", `${attempt.code}: ${attempt.message}`, todo)];
  });
}

function xfrmStat({ hasXfrmStat }: Facts): readonly Finding[] {
  if (hasXfrmStat) return fine("counters", "/proc/net/xfrm_stat");
  const todo = "use a kernel built with CONFIG_XFRM_STATISTICS";
  return [finding("counters", "obstacle", "/proc/net/xfrm_stat is missing", todo)];
}

const hidden = finding(
  "other IPsec",
  "unknown",
  "only the processes of this container are seen",
  "run it with the host's process ids (hostPID), or look for IKE daemons and Cilium's agent on the host",
);

function otherPrograms({ programs, seesAllPrograms, tables }: Facts): readonly Finding[] {
  if ((tables?.ciliumSas ?? 0) > 0) {
    const todo = "switch Cilium's encryption off (enable-ipsec: false) before Spindle takes its place";
    return [finding("other IPsec", "obstacle", "Cilium encrypts here, and deletes the SAs of others", todo)];
  }
  if (programs.length === 0) return seesAllPrograms ? fine("other IPsec", "no other program is known to do IPsec here") : [hidden];
  const todo = "see that it leaves SAs and policies of others alone, and that its policies cover other traffic";
  return [finding("other IPsec", "warning", `${programs.join(", ")} runs here`, todo)];
}

function otherEntries({ tables }: Facts): readonly Finding[] {
  if (tables === null) {
    const todo = "see the checks of privileges and of ESP";
    return [finding("other policies", "unknown", "the kernel's tables cannot be read", todo)];
  }
  const { foreignSas, foreignPolicies, covering } = tables;
  if (covering.length > 0) {
    const todo = "remove it, or give it a priority above 0x53500000: a lower number is looked at first";
    return covering.map((policy) => finding("other policies", "obstacle", `${policy} comes before ours`, todo));
  }
  return fine("other policies", `${foreignSas} SAs and ${foreignPolicies} policies of others, which are left alone`);
}

function ownAddresses({ node }: Facts): readonly Finding[] {
  if (node === null) return [];
  const { addresses, local } = node;
  return families.flatMap((family) => {
    const address = addresses[family];
    if (address === null) return [];
    if (local.includes(address)) return fine(`address ${family}`, `${address} is this host's`);
    const todo = `correct node.addresses.${family}, or add the address to a device`;
    return [finding(`address ${family}`, "obstacle", `no device of this host has ${address}`, todo)];
  });
}

function udpPort({ node }: Facts): readonly Finding[] {
  const port = node?.addresses.udpPort ?? null;
  if (node === null || port === null) return [];
  if (!node.isPortTaken) return fine("udp port", `UDP ${port} is free, or ours`);
  const todo = "stop the other program (an IKE daemon has 4500), or change node.udpPort in the whole fleet";
  return [finding("udp port", "obstacle", `another program has UDP ${port}`, todo)];
}

function reversePath({ strictReversePath, reversePathDrops }: Facts): readonly Finding[] {
  if (strictReversePath === null) {
    const todo = "mount /proc, or look at `sysctl net.ipv4.conf`";
    return [finding("reverse path", "unknown", "/proc/sys/net/ipv4/conf cannot be read", todo)];
  }
  if (strictReversePath.length === 0) return fine("reverse path", "no strict filter");
  const what = `rp_filter is strict on ${strictReversePath.join(", ")}`;
  const loose = strictReversePath.map((device) => `sysctl net/ipv4/conf/${device}/rp_filter=2`).join("; ");
  if (reversePathDrops !== null && reversePathDrops > 0) {
    const todo = `packets come by another device than the one that leads back to their sender: let both ways be one, or ${loose}`;
    return [finding("reverse path", "warning", `${what}, and ${reversePathDrops} packets were dropped for it since boot`, todo)];
  }
  const todo = `if packets of a peer can arrive at another device than the one its route names: ${loose}`;
  return [finding("reverse path", "warning", what, todo)];
}

/** With 64 bits no SA of a fleet that rotates comes near the end. */
function sequenceSpace({ tables }: Facts): readonly Finding[] {
  const highest = tables?.highest ?? null;
  if (highest === null) return [];
  const { spi, sequence, esn } = highest;
  const share = sequenceShare(sequence, esn);
  if (share < limits.sequenceShareWarned) return fine("sequence numbers", `${sequence} at most, on ${spi}`);
  const todo = "rotate now: an SA without a sequence number left sends nothing";
  return [finding("sequence numbers", "warning", `${spi} has used ${Math.floor(100 * share)} % of its numbers`, todo)];
}

/** No rotation depends on it: time is counted on the boot clock. */
function clock({ isClockSynchronised }: Facts): readonly Finding[] {
  if (isClockSynchronised === true) return fine("clock", "the kernel's clock is synchronised");
  const todo =
    "run a time service (chrony, systemd-timesyncd): with a wrong clock the registry's certificates are refused, and " +
    "log lines of several nodes have no order";
  if (isClockSynchronised === null) return [finding("clock", "unknown", "the kernel does not say how its clock is kept", todo)];
  return [finding("clock", "warning", "nothing keeps the kernel's clock synchronised", todo)];
}
