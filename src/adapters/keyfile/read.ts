/**
 * Reads a key file from disk, and nothing else: no FIFO to wait for, no device, no directory, no
 * file that is too large to be a key file. What it returns is secret and the caller's to wipe.
 */
import { constants } from "node:fs";
import { open, type FileHandle } from "node:fs/promises";
import { limits } from "../../core/limits.js";
import { PortError } from "../port-error.js";

export interface KeyFileContent {
  readonly bytes: Buffer;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/** @throws PortError KEYFILE_MISSING, KEYFILE_UNREADABLE, KEYFILE_NOT_A_FILE, KEYFILE_TOO_LARGE */
export async function readKeyFile(path: string): Promise<KeyFileContent> {
  const file = await openKeyFile(path);
  try {
    const { mode, uid, gid, ...stats } = await file.stat();
    if ((mode & constants.S_IFMT) !== constants.S_IFREG) throw notAFile(path);
    if (stats.size > limits.keyFileBytesMax) throw tooLarge(path);
    return { bytes: await readBounded(file, path), mode: mode & 0o777, uid, gid };
  } catch (cause) {
    throw cause instanceof PortError ? cause : unreadable(path, cause);
  } finally {
    await file.close();
  }
}

async function openKeyFile(path: string): Promise<FileHandle> {
  try {
    // Without O_NONBLOCK opening a FIFO waits for its writer.
    return await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") {
      throw new PortError("KEYFILE_MISSING", `${path} does not exist`, true, { cause });
    }
    // What open says of a socket.
    throw code === "ENXIO" ? notAFile(path) : unreadable(path, cause);
  }
}

/** The file may grow between two looks at it, so its size is no bound. */
async function readBounded(file: FileHandle, path: string): Promise<Buffer> {
  const buffer = Buffer.alloc(limits.keyFileBytesMax + 1);
  let length = 0;
  try {
    while (length < buffer.length) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, length);
      if (bytesRead === 0) return Buffer.from(buffer.subarray(0, length));
      length += bytesRead;
    }
    throw tooLarge(path);
  } finally {
    buffer.fill(0);
  }
}

function notAFile(path: string): PortError {
  const message = `${path} is no regular file: name a file that holds the keys`;
  return new PortError("KEYFILE_NOT_A_FILE", message, true);
}

function tooLarge(path: string): PortError {
  const message = `${path} has more than ${limits.keyFileBytesMax} bytes: this is no key file`;
  return new PortError("KEYFILE_TOO_LARGE", message, true);
}

function unreadable(path: string, cause: unknown): PortError {
  const reason = (cause as NodeJS.ErrnoException).code ?? "unknown error";
  const message = `${path} cannot be read (${reason}): let the agent's user read it`;
  return new PortError("KEYFILE_UNREADABLE", message, true, { cause });
}

/** What is wrong with the permission bits, null when only the owner may use the file. */
export function describeOpenMode(path: string, mode: number): string | null {
  if ((mode & 0o077) === 0) return null;
  return `${path} can be used by others (mode ${formatMode(mode)}): chmod 600 ${path}`;
}

export function formatMode(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}
