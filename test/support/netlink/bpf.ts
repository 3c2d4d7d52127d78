/** BPF programs that let every packet pass, attached to a device, for tests. */
import { closeSync } from "node:fs";
import koffi from "koffi";
import { loadLibc } from "../../../src/adapters/netlink/socket/libc.js";

/** linux/bpf.h and asm/unistd.h. */
const systemCalls: Readonly<Record<string, number>> = { x64: 321, arm64: 280 };
const command = { load: 5, link: 28 } as const;
const kinds = {
  xdp: { program: 6, attachType: 37, verdict: 2, flags: 2 },
  tcx: { program: 3, attachType: 46, verdict: -1, flags: 0 },
} as const;

/** @returns how to detach it */
export async function attachProgram(kind: keyof typeof kinds, deviceIndex: number): Promise<() => void> {
  const libc = await loadLibc();
  const call = systemCalls[process.arch] ?? 0;
  const run = (name: string, number: number, attributes: Uint8Array): number => {
    const fd = libc.bpf(call, number, attributes, attributes.length);
    if (fd < 0) throw new Error(`${name} failed with ${libc.errno()}`);
    return fd;
  };
  const { program, attachType, verdict, flags } = kinds[kind];
  // r0 = verdict; exit
  const code = new Uint8Array([0xb7, 0, 0, 0, ...new Uint8Array(new Int32Array([verdict]).buffer), 0x95, 0, 0, 0, 0, 0, 0, 0]);
  const license = new TextEncoder().encode("GPL\0");
  const load = new DataView(new ArrayBuffer(48));
  load.setUint32(0, program, true);
  load.setUint32(4, code.length / 8, true);
  load.setBigUint64(8, BigInt(koffi.address(code)), true);
  load.setBigUint64(16, BigInt(koffi.address(license)), true);
  const loaded = run("loading", command.load, new Uint8Array(load.buffer));
  const link = new DataView(new ArrayBuffer(48));
  for (const [place, value] of [loaded, deviceIndex, attachType, flags].entries()) link.setUint32(4 * place, value, true);
  const linked = run("attaching", command.link, new Uint8Array(link.buffer));
  closeSync(loaded);
  return () => closeSync(linked);
}
