/**
 * Private keys on disk: 0600 from the first byte, written whole or not at all, and overwritten before they are removed. On a
 * journaling or copy-on-write file system, and on flash, overwriting is an attempt and no promise: what ends an old key is that
 * nobody trusts its certificate any more.
 */
import { createPrivateKey } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { dirname } from "node:path";
import type { Secret } from "../crypto/secret.js";
import { PortError } from "../port-error.js";
import { removeIfPresent, syncDirectory, writeFileAtomically } from "../storage/atomic-write.js";

export async function writeKeyFile(path: string, key: Secret): Promise<void> {
  await writeFileAtomically(path, key.reveal(), { mode: 0o600 });
}

/**
 * @returns PKCS 8 DER, for the caller to wipe
 * @throws PortError `KEY_FILE_UNREADABLE`; the text never shows a byte of the file
 */
export async function readKeyFile(path: string): Promise<Buffer> {
  let pem: Buffer | null = null;
  try {
    pem = await readFile(path);
    return createPrivateKey(pem).export({ format: "der", type: "pkcs8" });
  } catch (cause) {
    const code = (cause as NodeJS.ErrnoException).code;
    const why = pem === null ? (code ?? "unreadable") : "it holds no private key";
    throw new PortError("KEY_FILE_UNREADABLE", `private key ${path}: ${why}`, pem === null && code !== "ENOENT");
  } finally {
    pem?.fill(0);
  }
}

/** Overwrites and removes a file with a key. Wiping the absent succeeds. */
export async function wipeFile(path: string): Promise<void> {
  try {
    const file = await open(path, "r+");
    try {
      const { size } = await file.stat();
      await file.write(Buffer.alloc(size), 0, size, 0);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return;
    throw cause;
  }
  await removeIfPresent(path);
  await syncDirectory(dirname(path));
}
