/**
 * A live area at the end of a terminal, or a plain line every two seconds where there is none. It
 * is drawn from a function that says how things stand now, so a missed or late redraw never shows
 * anything false.
 */
import { stripVTControlCharacters } from "node:util";
import { systemClock } from "../adapters/system/clock.js";
import type { Terminal } from "../adapters/system/terminal.js";
import type { Clock } from "../ports/clock.js";

const liveIntervalMs = 100;
const plainIntervalMs = 2_000;

export interface Progress {
  /** Prints a line that stays, above the live area. */
  note(line: string): void;
  /** Clears the live area and ends the redraws. Calling it twice is harmless. */
  stop(): void;
}

export interface ProgressOptions {
  readonly stream: Terminal;
  /** The lines to show now. Called for each redraw, so it must be cheap. */
  readonly lines: () => readonly string[];
  /** Between two redraws on a terminal, after the first. */
  readonly redrawMs?: number;
  readonly clock?: Pick<Clock, "nowMs" | "setTimer">;
}

export function startProgress(options: ProgressOptions): Progress {
  const { stream, clock = systemClock } = options;
  const isLive = stream.isTTY === true;
  const area = isLive ? makeLiveArea(stream) : makePlainLines(stream);
  const intervalMs = isLive ? (options.redrawMs ?? area.intervalMs) : area.intervalMs;
  let cancel = clock.setTimer(clock.nowMs() + area.intervalMs, tick);
  function tick(): void {
    area.draw(options.lines());
    cancel = clock.setTimer(clock.nowMs() + intervalMs, tick);
  }
  return {
    note: (line) => area.note(line),
    stop: () => {
      cancel();
      area.clear();
    },
  };
}

interface Area {
  readonly intervalMs: number;
  draw(lines: readonly string[]): void;
  note(line: string): void;
  clear(): void;
}

function makeLiveArea(stream: Terminal): Area {
  let drawn: readonly string[] = [];
  const show = (lines: readonly string[], above: string): void => {
    const fitting = lines.map((line) => fit(line, (stream.columns ?? 80) - 1));
    stream.write(eraseLines(drawn.length) + above + fitting.map((line) => `${line}\n`).join(""));
    drawn = fitting;
  };
  return {
    intervalMs: liveIntervalMs,
    draw: (lines) => show(lines, ""),
    note: (line) => show(drawn, `${line}\n`),
    clear: () => show([], ""),
  };
}

/**
 * Cursor to the first of the last `count` lines, and everything from there on erased (ECMA-48: CPL,
 * ED).
 */
function eraseLines(count: number): string {
  return count === 0 ? "" : `\u001b[${count}F\u001b[J`;
}

/** A line that wrapped would take two rows and break the redraw. A cut line loses its colours. */
function fit(line: string, width: number): string {
  const plain = stripVTControlCharacters(line);
  return plain.length <= width ? line : `${plain.slice(0, width - 1)}…`;
}

function makePlainLines(stream: Terminal): Area {
  let last = "";
  return {
    intervalMs: plainIntervalMs,
    draw: (lines) => {
      const text = lines.map((line) => stripVTControlCharacters(line).trim()).join("; ");
      if (text !== last && text !== "") stream.write(`${text}\n`);
      last = text;
    },
    note: (line) => {
      stream.write(`${line}\n`);
    },
    clear: () => {},
  };
}
