/**
 * Writes a key file: atomically, mode 0600, with the owner it had, so that an agent that could read
 * the old file can read the new one. The text is wiped afterwards.
 */
import { realpath } from "node:fs/promises";
import { formatKeyFile } from "../../core/keyfile/format.js";
import type { KeyLine } from "../../core/keyfile/key-file.js";
import { PortError } from "../port-error.js";
import { writeFileAtomically, type AtomicWriteOptions } from "../storage/atomic-write.js";

const ownerOnly = 0o600;

/** @throws PortError KEYFILE_EXISTS, KEYFILE_WRITE_FAILED */
export async function createKeyFile(path: string, lines: readonly KeyLine[]): Promise<void> {
  await write(path, lines, { mode: ownerOnly, exclusive: true });
}

/**
 * Replaces the file, or makes it. Of a symbolic link the target is replaced, not the link.
 * @throws PortError KEYFILE_WRITE_FAILED
 */
export async function replaceKeyFile(
  path: string,
  lines: readonly KeyLine[],
  owner?: AtomicWriteOptions["owner"],
): Promise<void> {
  const target = await realpath(path).catch(() => path);
  await write(target, lines, { mode: ownerOnly, ...(owner === undefined ? {} : { owner }) });
}

async function write(
  path: string,
  lines: readonly KeyLine[],
  options: AtomicWriteOptions,
): Promise<void> {
  const text = formatKeyFile(lines);
  try {
    await writeFileAtomically(path, text, options);
  } catch (cause) {
    throw writeError(path, cause);
  } finally {
    text.fill(0);
  }
}

function writeError(path: string, cause: unknown): PortError {
  const { code } = cause as NodeJS.ErrnoException;
  if (code === "EEXIST") {
    return new PortError("KEYFILE_EXISTS", `${path} exists and was not changed`, false, { cause });
  }
  const message = `${path} cannot be written (${code ?? "unknown error"}): ${adviceFor(code)}`;
  return new PortError("KEYFILE_WRITE_FAILED", message, false, { cause });
}

function adviceFor(code: string | undefined): string {
  if (code === "EROFS") return "a mounted Secret is changed through the Kubernetes API, not here";
  if (code === "EPERM" || code === "EACCES") return "run as the owner of the file, or as root";
  if (code === "ENOENT" || code === "ENOTDIR") return "make its directory first";
  return "nothing was changed";
}
