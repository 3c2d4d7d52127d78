/**
 * Ties a program of the lab to the lab: its standard input is a pipe that the lab holds open and
 * writes to. When the lab ends in whatever way, kill -9 included, the pipe closes and the program
 * ends itself.
 */
import type { Readable } from "node:stream";

export interface Leash {
  /** Called for each line that the lab writes. */
  readonly line?: (line: string) => void;
  readonly released: () => void;
}

/** Reads `input` until it ends, and then calls `released` once. */
export function holdLeash(input: Readable, leash: Leash): void {
  let rest = "";
  let isReleased = false;
  const release = (): void => {
    if (!isReleased) leash.released();
    isReleased = true;
  };
  input.on("data", (chunk: Buffer) => {
    const lines = (rest + chunk.toString()).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) leash.line?.(line);
  });
  input.on("end", release);
  input.on("close", release);
  input.on("error", release);
}
