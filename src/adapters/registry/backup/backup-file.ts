/**
 * A backup of a registry as a file: its records as the stores show them, with the revisions that they had. The text says
 * what it is and carries a digest over all of it, so that a file which was cut, mixed up or changed is not restored.
 */
import { createHash } from "node:crypto";
import { readFile, stat } from "node:fs/promises";
import { z } from "zod";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { writeFileAtomically } from "../../storage/atomic-write.js";
import type { KvItem } from "../kv.js";

export interface RegistryBackup {
  /** Wall clock, ISO 8601, only shown. */
  readonly takenAt: string;
  /** Of the registry when the last record was read. */
  readonly revision: number;
  readonly items: readonly KvItem[];
}

const fileKind = "spindle-registry-backup";
const fileVersion = 1;
const count = z.number().int().nonnegative();
const fileSchema = z.object({
  kind: z.literal(fileKind),
  schemaVersion: z.literal(fileVersion),
  takenAt: z.string(),
  revision: count,
  items: z.array(z.object({ key: z.string(), revision: count, value: z.string() })),
  sha256: z.string(),
});

/** With mode 0600, whole or not at all. @throws the system's error */
export async function writeBackup(path: string, { takenAt, revision, items }: RegistryBackup): Promise<void> {
  const content = { kind: fileKind, schemaVersion: fileVersion, takenAt, revision, items: items.map(plain) };
  const text = JSON.stringify({ ...content, sha256: digestOf(content) });
  await writeFileAtomically(path, Buffer.from(`${text}\n`), { mode: 0o600 });
}

/** @throws PortError REGISTRY_BACKUP_INVALID, and the system's error for a file that cannot be read */
export async function readBackup(path: string): Promise<RegistryBackup> {
  const { size } = await stat(path);
  if (size > limits.backupBytesMax) throw invalid(`it has more than ${limits.backupBytesMax} bytes`);
  const parsed = parseJson(await readFile(path, "utf8"));
  const { kind, schemaVersion } = z.object({ kind: z.unknown(), schemaVersion: z.unknown() }).catch({ kind: null, schemaVersion: null }).parse(parsed);
  if (kind !== fileKind) throw invalid("it is none, or it was cut off");
  if (schemaVersion !== fileVersion) throw invalid(`it has version ${String(schemaVersion)}, and this program reads ${fileVersion}`);
  const file = fileSchema.safeParse(parsed);
  if (!file.success) throw invalid(`${file.error.issues[0]?.path.join(".") ?? "it"} is not as it was written`);
  const { sha256, ...content } = file.data;
  if (digestOf(content) !== sha256) throw invalid("it was changed: its digest does not fit");
  return content;
}

function plain({ key, revision, value }: KvItem): KvItem {
  return { key, revision, value };
}

function digestOf(content: Readonly<Record<string, unknown>>): string {
  return createHash("sha256").update(JSON.stringify(content)).digest("hex");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function invalid(why: string): PortError {
  return new PortError("REGISTRY_BACKUP_INVALID", `the file is no backup that can be restored: ${why}`, false);
}
