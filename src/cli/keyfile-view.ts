/**
 * A key file as `spindle keyfile` shows it: everything but the keys. Check value and fingerprint
 * tell keys apart and say nothing about their bytes.
 */
import { checkValueOf, extractFleetKey } from "../adapters/crypto/derivation.js";
import { Secret } from "../adapters/crypto/secret.js";
import { describeOpenMode, formatMode } from "../adapters/keyfile/read.js";
import type { Terminal } from "../adapters/system/terminal.js";
import type { CheckValue, KeyId } from "../core/key-id.js";
import { describeAlgorithm, secretParts, slotOf } from "../core/keyfile/key-file.js";
import { whyNotRunnable, type FleetKeyBytes, type KeyFile } from "../core/keyfile/key-file.js";
import { formatTable, type Column } from "./output.js";

export interface KeyView {
  readonly line: number;
  readonly keyId: KeyId;
  readonly slot: "next" | "current" | "previous";
  readonly algorithm: string;
  /** Bytes of all key material on the line, the salt included. */
  readonly bytes: number;
  readonly icvBits: number | null;
  /** What reports and `status` show; null for keys that no dataplane runs. */
  readonly check: CheckValue | null;
  readonly fingerprint: string;
  readonly runs: boolean;
  readonly whyNot: string | null;
}

export interface KeyFileView {
  readonly schemaVersion: 1;
  readonly path: string;
  /** Octal, as chmod takes it. */
  readonly mode: string;
  /** Will an agent take the file? */
  readonly runs: boolean;
  readonly keys: readonly KeyView[];
  readonly warnings: readonly string[];
}

export function viewKeyFile(path: string, file: KeyFile, mode: number): KeyFileView {
  const keys = file.lines.map(({ keyId, key }, index): KeyView => {
    const whyNot = whyNotRunnable(key);
    return {
      line: index + 1,
      keyId,
      slot: slotOf(file, index),
      algorithm: describeAlgorithm(key),
      bytes: secretParts(key).reduce((sum, part) => sum + part.length, 0),
      icvBits: key.kind === "aead" ? key.icvBits : null,
      check: checkOf(key),
      fingerprint: fingerprintOf(key),
      runs: whyNot === null,
      whyNot,
    };
  });
  const warnings = warningsOf(path, keys, mode);
  const runs = keys.every((key) => key.runs);
  return { schemaVersion: 1, path, mode: formatMode(mode), runs, keys, warnings };
}

function checkOf(key: FleetKeyBytes): CheckValue | null {
  if (key.kind !== "aead") return null;
  const derivationKey = extractFleetKey(key.bytes);
  const check = checkValueOf(derivationKey);
  derivationKey.pseudorandomKey.wipe();
  return check;
}

function fingerprintOf(key: FleetKeyBytes): string {
  const secret = new Secret(Buffer.concat(secretParts(key)));
  const fingerprint = secret.fingerprint();
  secret.wipe();
  return fingerprint;
}

function warningsOf(path: string, keys: readonly KeyView[], mode: number): readonly string[] {
  const openMode = describeOpenMode(path, mode);
  const idle = keys.flatMap(({ line, whyNot }) =>
    whyNot === null ? [] : [`line ${line}: ${whyNot}`],
  );
  const twins = keys.flatMap((key, index) => {
    const twin = keys.slice(0, index).find((other) => other.fingerprint === key.fingerprint);
    return twin === undefined ? [] : [`key ids ${twin.keyId} and ${key.keyId} have the same bytes`];
  });
  return [...(openMode === null ? [] : [openMode]), ...idle, ...twins];
}

const columns: readonly Column<KeyView>[] = [
  { header: "KEY ID", cell: (key) => String(key.keyId), align: "right" },
  { header: "SLOT", cell: (key) => key.slot },
  { header: "ALGORITHM", cell: (key) => key.algorithm },
  { header: "BYTES", cell: (key) => String(key.bytes), align: "right" },
  { header: "ICV", cell: (key) => String(key.icvBits ?? "-"), align: "right" },
  { header: "CHECK VALUE", cell: (key) => key.check ?? "-" },
  { header: "FINGERPRINT", cell: (key) => key.fingerprint },
  { header: "RUNS", cell: (key) => (key.runs ? "yes" : "no") },
  { header: "LINE", cell: (key) => String(key.line), align: "right", wide: true },
];

export function formatKeyFileView(view: KeyFileView, stdout: Terminal, wide: boolean): string {
  const warnings = view.warnings.map((warning) => `warning: ${warning}`);
  const table = formatTable(columns, view.keys, stdout, wide);
  return [`${view.path}  mode ${view.mode}`, table, ...warnings].join("\n");
}

/** One line for the answer, one for each thing to look at. */
export function formatVerdict(view: KeyFileView): string {
  const keys = view.keys.map((key) => `${key.keyId} ${key.slot}`).join(", ");
  const verdict = view.runs ? "valid" : "well-formed, but no agent of this version takes it";
  const warnings = view.warnings.map((warning) => `warning: ${warning}`);
  return [`${view.path}: ${verdict} (key ids: ${keys})`, ...warnings].join("\n");
}
