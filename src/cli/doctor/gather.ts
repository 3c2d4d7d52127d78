/** Reads what `spindle doctor` judges: from /proc and /sys, from the kernel's tables, and by trying. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { networkInterfaces, release } from "node:os";
import { canonicalIpv6 } from "../../adapters/ip-address.js";
import { checkEsp } from "../../adapters/netlink/kernel/esp-check.js";
import { defaultOwnership, type Ownership } from "../../adapters/netlink/kernel/ownership.js";
import type { LocalNode } from "../../adapters/netlink/kernel/local-node.js";
import { isPlaceTaken, decapsulationPlaces } from "../../adapters/netlink/decapsulation.js";
import { loadLibc, type Libc } from "../../adapters/netlink/socket/libc.js";
import { openRequestSocket, type RequestSocket } from "../../adapters/netlink/socket/request-socket.js";
import { openXfrmStat } from "../../adapters/netlink/xfrm-stat.js";
import { PortError } from "../../adapters/port-error.js";
import { limits } from "../../core/limits.js";
import type { AddressFamily, NodeAddresses } from "../../core/node.js";
import type { PathCheck } from "../../http/status.js";
import { CliError } from "../exit.js";
import { readDevices } from "./attached.js";
import type { AgentProbe, Attempt, Facts, NodeFacts, PeerFacts } from "./facts.js";
import { readFirewall } from "./firewall.js";
import { probePath } from "./path-probe.js";
import { readTables } from "./tables.js";

export interface Subject {
  /** From the agent's configuration; null without one. */
  readonly node: NodeSubject | null;
  /** Canonical. */
  readonly peer: string | null;
}

export interface NodeSubject {
  readonly addresses: NodeAddresses;
  readonly reqid: number;
  /** Has the agent of this host probe its paths to a peer. @throws CliError */
  readonly askAgent: (peer: string) => Promise<PathCheck>;
}

/** Documentation addresses (RFC 5737, RFC 3849): the SA that is tried carries no packet. */
const tried: Record<AddressFamily, string> = { ipv4: "192.0.2.1", ipv6: "2001:db8::1" };

export async function gather({ node, peer }: Subject): Promise<Facts> {
  const ownership = { ...defaultOwnership, ...(node === null ? {} : { reqid: node.reqid }) };
  const libc = await attempted(loadLibc);
  const socket = libc === null ? null : await attempted(openRequestSocket);
  try {
    return {
      platform: process.platform,
      kernel: release(),
      hasNetAdmin: readNetAdmin(),
      esp: { ipv4: await tryEsp(socket, ownership, "ipv4"), ipv6: await tryEsp(socket, ownership, "ipv6") },
      hasXfrmStat: hasXfrmStat(),
      tables: socket === null ? null : await attempted(() => readTables(socket, ownership, peer)),
      programs: runningPrograms(),
      seesAllPrograms: seesAllPrograms(),
      isClockSynchronised: libc === null ? null : isClockSynchronised(libc),
      ...(await readLinks(libc)),
      firewall: await readFirewall(),
      strictReversePath: strictReversePath(),
      reversePathDrops: reversePathDrops(),
      node: libc === null || node === null ? null : nodeFacts(libc, node.addresses),
      peer: libc === null || peer === null ? null : await peerFacts(libc, peer, node),
    };
  } finally {
    socket?.close();
  }
}

/** Null for a fault of the system: the checks then say what is missing. */
async function attempted<T>(run: () => Promise<T>): Promise<T | null> {
  try {
    return await run();
  } catch (cause) {
    if (cause instanceof PortError) return null;
    throw cause;
  }
}

async function tryEsp(socket: RequestSocket | null, ownership: Ownership, family: AddressFamily): Promise<Attempt> {
  try {
    // What kept it from being opened is found again, and told.
    if (socket === null) (await openRequestSocket()).close();
    else await checkEsp(socket, triedNode(ownership, family));
    return { ok: true };
  } catch (cause) {
    if (!(cause instanceof PortError)) throw cause;
    return { ok: false, code: cause.code, message: cause.message };
  }
}

function triedNode(ownership: Ownership, family: AddressFamily): LocalNode {
  const addresses = { ipv4: null, ipv6: null, udpPort: null, [family]: tried[family] };
  return { addresses, ownership, replayWindow: limits.replayWindowDefault, probePort: limits.probePortDefault, guard: null };
}

function hasXfrmStat(): boolean {
  try {
    openXfrmStat().close();
    return true;
  } catch {
    return false;
  }
}

/** Bit 12 of the effective capabilities (linux/capability.h). */
function readNetAdmin(): boolean | null {
  const [, digits] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readOr("/proc/self/status")) ?? [];
  return digits === undefined ? null : ((BigInt(`0x${digits}`) >> 12n) & 1n) === 1n;
}

const ipsecPrograms = new Set(["charon", "charon-systemd", "pluto", "racoon", "iked", "cilium-agent"]);

function runningPrograms(): readonly string[] {
  const names = listOr("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map((pid) => readOr(`/proc/${pid}/comm`).trim());
  return [...new Set(names.filter((name) => ipsecPrograms.has(name)))].sort();
}

/** The number of the first process id namespace (PROC_PID_INIT_INO of linux/proc_ns.h). */
const hostProcesses = "pid:[4026531836]";

function seesAllPrograms(): boolean {
  try {
    return readlinkSync("/proc/self/ns/pid") === hostProcesses;
  } catch {
    return false;
  }
}

/** struct timex of a 64-bit system: `status` and its bit STA_UNSYNC (linux/timex.h). */
const timex = { bytes: 208, status: 40, unsynchronised: 0x40 } as const;

function isClockSynchronised(libc: Libc): boolean | null {
  if (process.arch !== "x64" && process.arch !== "arm64") return null;
  const time = new Uint8Array(timex.bytes);
  if (libc.adjtimex(time) < 0) return null;
  return (new DataView(time.buffer).getInt32(timex.status, true) & timex.unsynchronised) === 0;
}

function strictReversePath(): readonly string[] | null {
  const folder = "/proc/sys/net/ipv4/conf";
  const names = listOr(folder);
  if (names.length === 0) return null;
  const modes = names.map((name) => [name, Number(readOr(`${folder}/${name}/rp_filter`))] as const);
  // The larger of a device's own and the one for all counts (networking/ip-sysctl).
  const forAll = modes.find(([name]) => name === "all")?.[1] ?? 0;
  const devices = modes.filter(([name]) => name !== "all" && name !== "default" && name !== "lo");
  return devices.filter(([, mode]) => Math.max(mode, forAll) === 1).map(([name]) => name);
}

/** Of /proc/net/netstat: a line of names, and one of values, for each group. */
function reversePathDrops(): number | null {
  const [names = [], values = []] = readOr("/proc/net/netstat")
    .split("\n")
    .filter((line) => line.startsWith("TcpExt:"))
    .map((line) => line.split(" "));
  const value = values[names.indexOf("IPReversePathFilter")];
  return value === undefined ? null : Number(value);
}

function nodeFacts(libc: Libc, addresses: NodeAddresses): NodeFacts {
  const local = Object.values(networkInterfaces()).flatMap((some = []) =>
    some.map(({ address, family }) => (family === "IPv6" ? (canonicalIpv6(address) ?? address) : address)),
  );
  const isPortTaken = decapsulationPlaces(addresses).some((place) => isPlaceTaken(libc, place));
  return { addresses, local, isPortTaken };
}

async function readLinks(libc: Libc | null): Promise<Pick<Facts, "links" | "attached">> {
  const devices = libc === null ? null : await attempted(() => readDevices(libc));
  return devices ?? { links: [], attached: { listed: null, tcx: null } };
}

async function peerFacts(libc: Libc, address: string, node: Subject["node"]): Promise<PeerFacts> {
  const udpPort = node?.addresses.udpPort ?? null;
  const probe = await askForProbe(node, address);
  return { address, udpPort, ...(await probePath(libc, address, udpPort)), probe };
}

async function askForProbe(node: Subject["node"], address: string): Promise<AgentProbe> {
  if (node === null) return { kind: "unknown", why: "without --config no agent is asked" };
  try {
    const { paths } = await node.askAgent(address);
    const ours = paths.filter(({ family }) => (family === "ipv6") === address.includes(":"));
    const failed = ours.find(({ why }) => why !== null);
    if (failed !== undefined) return { kind: "failed", why: failed.why ?? "" };
    const [path] = ours;
    if (path === undefined || path.keyId === null) return { kind: "unknown", why: "the agent has no path there" };
    return { kind: "answered", keyId: path.keyId, roundTripMs: path.roundTripMs ?? 0 };
  } catch (cause) {
    if (!(cause instanceof CliError)) throw cause;
    return { kind: "unknown", why: cause.message };
  }
}

function readOr(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

function listOr(folder: string): readonly string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
