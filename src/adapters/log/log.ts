/**
 * The log: one JSON line per entry on stderr, or one coloured line when stderr is a terminal. A
 * line is written before `write` returns, so that the last words of a program that dies are there.
 * No secret is redacted here, because none gets here: fields are plain values, and a `Secret`
 * prints its fingerprint.
 */
import { pino, type DestinationStream, type LoggerOptions } from "pino";
import type { Log, LogFields, LogLevel } from "../../ports/log.js";
import type { Terminal } from "../system/terminal.js";
import { formatEntry } from "./pretty.js";

export interface LogOptions {
  readonly level: LogLevel;
  /** Facts that stand in every line, such as the node's name. */
  readonly fields?: LogFields;
  /** Where lines go; stderr unless given. */
  readonly stream?: Terminal;
}

export function makeLog(options: LogOptions): Log {
  const logger = pino(pinoOptions(options), destination(options.stream));
  return {
    write: (level: LogLevel, message: string, fields: LogFields) => {
      logger[level](fields, message);
    },
  };
}

/** Lines read `{"level":"info","time":"…Z",…fields,"msg":"phase changed"}`. */
function pinoOptions(options: LogOptions): LoggerOptions {
  return {
    level: options.level,
    base: options.fields ?? {},
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
}

function destination(stream: Terminal | undefined): DestinationStream {
  const target = stream ?? process.stderr;
  if (target.isTTY === true) {
    return { write: (line) => void target.write(formatEntry(line, target)) };
  }
  if (stream === undefined) return pino.destination({ fd: process.stderr.fd, sync: true });
  return { write: (line) => void stream.write(line) };
}
