/** A stream that keeps what is written to it, as a pipe or as a terminal. */
import type { Terminal } from "../../src/adapters/system/terminal.js";

export interface CapturedTerminal extends Terminal {
  /** Everything written so far. */
  text(): string;
}

export function captureTerminal(isTTY = false, columns = 80): CapturedTerminal {
  const chunks: string[] = [];
  const write = (chunk: string): boolean => chunks.push(chunk) > 0;
  return { write: write as Terminal["write"], isTTY, columns, text: () => chunks.join("") };
}
