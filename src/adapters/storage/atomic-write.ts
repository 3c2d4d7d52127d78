/**
 * Replaces a file atomically and durably: after it returns, a crash at any byte leaves the whole
 * new file; before, the whole old one. Errors are the system's own: the caller knows what the file
 * is and gives them a code.
 */
import { randomBytes } from "node:crypto";
import { link, open, rename, unlink } from "node:fs/promises";
import { basename, dirname, join } from "node:path";

export interface AtomicWriteOptions {
  /** Permission bits of the new file, whatever the umask. */
  readonly mode: number;
  /** Fail with EEXIST instead of replacing a file. */
  readonly exclusive?: true;
  /** Whom the file shall belong to, when it is not the caller. */
  readonly owner?: { readonly uid: number; readonly gid: number };
}

export async function writeFileAtomically(
  path: string,
  bytes: Uint8Array,
  options: AtomicWriteOptions,
): Promise<void> {
  // In the same directory, because a rename across file systems is no rename.
  const temporary = join(dirname(path), temporaryName(basename(path)));
  try {
    await writeDurably(temporary, bytes, options);
    // Only a link refuses to replace.
    if (options.exclusive) await link(temporary, path);
    else await rename(temporary, path);
  } catch (cause) {
    await removeIfPresent(temporary);
    throw cause;
  }
  if (options.exclusive) await unlink(temporary);
  await syncDirectory(dirname(path));
}

function temporaryName(name: string): string {
  return `.${name}.${randomBytes(6).toString("hex")}.tmp`;
}

/** Is it a file that a crash left behind? */
export function isTemporaryName(name: string): boolean {
  return /^\..+\.[0-9a-f]{12}\.tmp$/.test(name);
}

async function writeDurably(
  path: string,
  bytes: Uint8Array,
  { mode, owner }: AtomicWriteOptions,
): Promise<void> {
  const file = await open(path, "wx", 0o600);
  try {
    await file.writeFile(bytes);
    if (owner !== undefined) await file.chown(owner.uid, owner.gid);
    await file.chmod(mode);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Makes a rename, link or unlink durable: they are changes of the directory. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await open(path, "r");
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

/** Removing the absent succeeds. */
export async function removeIfPresent(path: string): Promise<void> {
  try {
    await unlink(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
  }
}
