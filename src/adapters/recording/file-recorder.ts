/**
 * Appends a recording to a file of mode 0600, as JSON lines. Recording is never in the way of what is recorded: lines
 * are collected and written by a thread of the pool; a disk that is full or slow, a file that cannot be used and the
 * size limit each end the recording, with one line in the log, and never the program. What was collected when the
 * program throws is written as it exits; what a kill -9 takes is the last moment.
 */
import { closeSync, constants, fstatSync, openSync, readSync, write, writeSync } from "node:fs";
import { limits } from "../../core/limits.js";
import type { Log } from "../../ports/log.js";
import type { RecordedLine, RecordedProgram, Recorder } from "../../ports/recorder.js";

export interface FileRecorderOptions {
  readonly path: string;
  readonly program: RecordedProgram;
  readonly log: Log;
  /** Size of the file beyond which recording ends. */
  readonly bytesMax?: number;
}

/** A file that has something in it must be a recording, so that nothing else is ever appended to. */
const recordingStart = /^\{"kind":"(agent|controller)-recording"/;
const startBytesMax = 64;
/** Looks at the file's size, at exit, for a write that the pool has begun. */
const exitLooksMax = 1_000;

export class FileRecorder implements Recorder {
  readonly program: RecordedProgram;
  readonly #options: FileRecorderOptions;
  readonly #flushAtExit = (): void => this.#flushNow();
  #file: number | null = null;
  /** No more lines are taken. */
  #hasEnded = false;
  /** In the file, as far as we know. */
  #bytes = 0;
  #waiting: string[] = [];
  #waitingBytes = 0;
  #writing: Buffer | null = null;
  #isFlushQueued = false;
  #closed: (() => void) | null = null;

  constructor(options: FileRecorderOptions) {
    this.program = options.program;
    this.#options = options;
    try {
      this.#open();
      options.log.write("info", "recording", { path: options.path });
    } catch (cause) {
      this.#giveUp((cause as Error).message);
    }
  }

  write(line: RecordedLine): void {
    if (this.#hasEnded) return;
    const text = `${JSON.stringify(line)}\n`;
    const { bytesMax = limits.recordingBytesMax } = this.#options;
    const unwrittenBytes = this.#waitingBytes + (this.#writing?.length ?? 0) + Buffer.byteLength(text);
    if (unwrittenBytes > limits.recordingWaitingBytesMax) return this.#giveUp("the disk is too slow");
    // The outcome of a turn always follows it.
    const isOver = this.#bytes + unwrittenBytes > bytesMax;
    if (isOver && "atMs" in line) return this.#endAtLimit(line.atMs, bytesMax);
    this.#collect(text);
  }

  /** Resolves when all lines are written, or recording was given up. */
  async close(): Promise<void> {
    if (this.#file === null) return;
    this.#hasEnded = true;
    await new Promise<void>((resolve) => {
      this.#closed = resolve;
      this.#flush();
    });
  }

  #open(): void {
    const { O_APPEND, O_CREAT, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;
    const flags = O_APPEND | O_CREAT | O_RDWR | O_NOFOLLOW | O_NONBLOCK;
    const file = openSync(this.#options.path, flags, 0o600);
    this.#file = file;
    process.once("exit", this.#flushAtExit);
    const { size } = fstatSync(file);
    if (size === 0) return;
    if (!recordingStart.test(readText(file, 0, startBytesMax))) throw new Error("the file is no recording; left as it is");
    this.#bytes = size;
    // What a killed program left of its last line must not become the beginning of ours.
    if (readText(file, size - 1, 1) !== "\n") this.#collect("\n");
  }

  #collect(text: string): void {
    this.#waiting.push(text);
    this.#waitingBytes += Buffer.byteLength(text);
    if (this.#isFlushQueued || this.#writing !== null) return;
    this.#isFlushQueued = true;
    setImmediate(() => {
      this.#isFlushQueued = false;
      this.#flush();
    });
  }

  /** One write at a time; after the last one the file is closed. */
  #flush(): void {
    if (this.#file === null || this.#writing !== null) return;
    if (this.#waiting.length === 0) {
      if (this.#hasEnded) this.#closeFile(this.#file);
      return;
    }
    const bytes = this.#takeWaiting();
    this.#writing = bytes;
    write(this.#file, bytes, (cause, written) => {
      this.#writing = null;
      this.#bytes += written;
      if (cause !== null) this.#giveUp(cause.message);
      else if (written < bytes.length) this.#giveUp("the disk is full");
      this.#flush();
    });
  }

  #takeWaiting(): Buffer {
    const bytes = Buffer.from(this.#waiting.join(""));
    this.#waiting = [];
    this.#waitingBytes = 0;
    return bytes;
  }

  /** Lines out of order would be worse than missing ones: the write that was begun must be there before the rest. */
  #flushNow(): void {
    const file = this.#file;
    if (file === null) return;
    const sizeThen = this.#bytes + (this.#writing?.length ?? 0);
    try {
      let looks = 0;
      while (fstatSync(file).size < sizeThen && looks < exitLooksMax) looks += 1;
      if (looks < exitLooksMax) writeSync(file, this.#takeWaiting());
    } catch (cause) {
      this.#tellEnd((cause as Error).message);
    }
  }

  /** An end is written, so that a replay can tell it from a kill. */
  #endAtLimit(atMs: number, bytesMax: number): void {
    this.#collect(`${JSON.stringify({ atMs, end: "size limit" })}\n`);
    this.#hasEnded = true;
    this.#tellEnd(`the file has reached its limit of ${bytesMax} bytes`);
  }

  #giveUp(why: string): void {
    if (!this.#hasEnded) this.#tellEnd(why);
    this.#hasEnded = true;
    this.#takeWaiting();
    this.#flush();
  }

  #tellEnd(why: string): void {
    this.#options.log.write("warn", "recording ended", { code: "RECORDING_ENDED", path: this.#options.path, why });
  }

  #closeFile(file: number): void {
    process.off("exit", this.#flushAtExit);
    this.#file = null;
    closeSync(file);
    this.#closed?.();
  }
}

function readText(file: number, position: number, length: number): string {
  const bytes = Buffer.alloc(length);
  return bytes.subarray(0, readSync(file, bytes, 0, length, position)).toString("latin1");
}
