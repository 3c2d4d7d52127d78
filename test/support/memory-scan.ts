/** What a debugger or a core dump would show of a private key in the memory of a process. */
import { createPrivateKey } from "node:crypto";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";

const chunkBytes = 1 << 22;

/** @returns how often the key is in the process's memory: as a number in either byte order, or as the text of its file */
export function tracesInMemory(pid: number, keyPem: string): number {
  const number = Buffer.from(createPrivateKey(keyPem).export({ format: "jwk" }).d!, "base64url");
  const text = Buffer.from(keyPem.split("\n")[1]!);
  const needles = [number, Buffer.from(number).reverse(), text];
  const memory = openSync(`/proc/${pid}/mem`, "r");
  try {
    return writableRanges(pid).reduce((sum, range) => sum + countIn(memory, range, needles), 0);
  } finally {
    closeSync(memory);
  }
}

/** Also those that are shared, and stacks; not what only maps a file. */
function writableRanges(pid: number): readonly (readonly [number, number])[] {
  const lines = readFileSync(`/proc/${pid}/maps`, "utf8").matchAll(/^([0-9a-f]+)-([0-9a-f]+) rw/gm);
  return [...lines].map(([, from = "", to = ""]) => [Number.parseInt(from, 16), Number.parseInt(to, 16)]);
}

/** Pieces overlap, so that nothing is missed between two. */
function countIn(memory: number, [from, to]: readonly [number, number], needles: readonly Buffer[]): number {
  const overlap = Math.max(...needles.map(({ length }) => length));
  const chunk = Buffer.alloc(chunkBytes);
  let count = 0;
  for (let at = from; at < to; at += chunkBytes - overlap) {
    const bytes = readSync(memory, chunk, 0, Math.min(chunkBytes, to - at), at);
    for (const needle of needles) if (chunk.subarray(0, bytes).includes(needle)) count += 1;
  }
  return count;
}
