/** Reads devices, and what is attached to them. */
import { appendListDevices } from "../../adapters/netlink/route/device-codec.js";
import { appendListFilters, filterParents, readFilter, readLink, type LinkFacts } from "../../adapters/netlink/route/attached-codec.js";
import { NetlinkDescriptor, netlinkProtocol } from "../../adapters/netlink/socket/descriptor.js";
import type { Libc } from "../../adapters/netlink/socket/libc.js";
import { RequestSocket } from "../../adapters/netlink/socket/request-socket.js";
import { PortError } from "../../adapters/port-error.js";
import type { AttachedProgram, AttachedPrograms } from "./facts.js";

/** linux/bpf.h; bpf_prog_query with no room for numbers answers with how many there are. */
const query = { command: 16, bytes: 64, device: 0, attachType: 4, count: 24 } as const;
const tcxAttachTypes = { ingress: 46, egress: 47 } as const;
/** Numbers of bpf(2), asm/unistd.h. */
const systemCalls: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
/** EINVAL: a kernel before 6.6 does not know TCX. */
const invalid = 22;

export interface Devices {
  readonly links: readonly LinkFacts[];
  readonly attached: AttachedPrograms;
}

/** @throws PortError when devices cannot be listed */
export async function readDevices(libc: Libc): Promise<Devices> {
  const socket = new RequestSocket(new NetlinkDescriptor(libc, netlinkProtocol.route));
  try {
    const links: LinkFacts[] = [];
    const visit = (payload: Uint8Array): void => {
      const link = readLink(payload);
      if (link !== null) links.push(link);
    };
    await socket.dump(appendListDevices, visit, () => (links.length = 0));
    return { links, attached: { listed: await listPrograms(socket, links), tcx: listTcx(libc, links) } };
  } finally {
    socket.close();
  }
}

async function listPrograms(socket: RequestSocket, links: readonly LinkFacts[]): Promise<readonly AttachedProgram[] | null> {
  const found: AttachedProgram[] = [];
  try {
    for (const { index, name: device, xdp } of links) {
      if (xdp !== null) found.push({ device, kind: "xdp", name: `${xdp.programId}`, isInHardware: xdp.isInHardware });
      for (const filter of await listFilters(socket, index)) found.push({ device, kind: "tc", ...filter });
    }
    return found;
  } catch (cause) {
    if (cause instanceof PortError) return null;
    throw cause;
  }
}

/** An `ingress` queue shows its filters for both parents: each is told once. */
async function listFilters(socket: RequestSocket, index: number): Promise<readonly Omit<AttachedProgram, "device" | "kind">[]> {
  const found = new Map<string, Omit<AttachedProgram, "device" | "kind">>();
  for (const parent of Object.values(filterParents)) {
    const visit = (payload: Uint8Array): void => {
      const filter = readFilter(payload);
      if (filter !== null) found.set(`${filter.name} ${filter.isInHardware}`, filter);
    };
    await socket.dump((batch) => appendListFilters(batch, index, parent), visit, () => undefined);
  }
  return [...found.values()];
}

function listTcx(libc: Libc, links: readonly LinkFacts[]): AttachedPrograms["tcx"] {
  const found = [];
  for (const { index, name: device } of links) {
    const counts = Object.values(tcxAttachTypes).map((type) => countTcx(libc, index, type));
    const count = counts.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0);
    if (count === null) return null;
    if (count > 0) found.push({ device, count });
  }
  return found;
}

/** Null where the kernel does not say. */
function countTcx(libc: Libc, index: number, attachType: number): number | null {
  const call = systemCalls[process.arch];
  if (call === undefined) return null;
  const attributes = new Uint8Array(query.bytes);
  const view = new DataView(attributes.buffer);
  view.setUint32(query.device, index, true);
  view.setUint32(query.attachType, attachType, true);
  if (libc.bpf(call, query.command, attributes, attributes.length) < 0) return libc.errno() === invalid ? 0 : null;
  return view.getUint32(query.count, true);
}
