/**
 * From the bytes of a key file to keys that can be run, or to one failure that names file, line and
 * remedy.
 */
import { assert } from "../../core/assert.js";
import { describeFault, type KeyFileFault } from "../../core/keyfile/fault.js";
import { whyNotRunnable, wipeLines } from "../../core/keyfile/key-file.js";
import type { AeadKey, KeyLine } from "../../core/keyfile/key-file.js";
import { parseKeyFile } from "../../core/keyfile/parse.js";
import type { KeyId, KeyRing } from "../../core/key-id.js";
import { fail, succeed, type Result } from "../../core/result.js";

/** What an operator must correct in the file. `message` never holds a byte of key. */
export interface KeyFileRefusal {
  readonly code: string;
  readonly message: string;
}

export interface RunnableLine {
  readonly keyId: KeyId;
  readonly key: AeadKey;
}

/** @returns lines whose bytes the caller wipes; `bytes` stay the caller's too */
export function loadRunnable(
  bytes: Uint8Array,
  path: string,
  ring: KeyRing,
): Result<readonly RunnableLine[], KeyFileRefusal> {
  const parsed = parseKeyFile(bytes, ring);
  if (!parsed.ok) return fail(summarizeFaults(parsed.error, path));
  const { lines } = parsed.value;
  for (const [index, { key }] of lines.entries()) {
    const reason = whyNotRunnable(key);
    if (reason === null) continue;
    wipeLines(lines);
    return fail({ code: "KEYFILE_NOT_RUNNABLE", message: `${path}:${index + 1}: ${reason}` });
  }
  return succeed(lines.filter(isAead));
}

function summarizeFaults(faults: readonly KeyFileFault[], path: string): KeyFileRefusal {
  const [first, ...others] = faults;
  assert(first !== undefined, "a refused key file has a fault");
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  return { code: first.code, message: `${describeFault(first, path)}${more}` };
}

function isAead(line: KeyLine): line is KeyLine & RunnableLine {
  return line.key.kind === "aead";
}
