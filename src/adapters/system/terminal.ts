/** Streams that may be a terminal, and colours for those that are. */
import type { Writable } from "node:stream";
import picocolors from "picocolors";

export type Terminal = Pick<Writable, "write"> & {
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
};

export type Colors = ReturnType<typeof picocolors.createColors>;

/**
 * `NO_COLOR` with any value but the empty one switches colours off (no-color.org), as does a dumb
 * terminal.
 */
export function colorsFor(stream: Terminal, env: NodeJS.ProcessEnv = process.env): Colors {
  const refused = (env["NO_COLOR"] ?? "") !== "" || env["TERM"] === "dumb";
  return picocolors.createColors(stream.isTTY === true && !refused);
}
