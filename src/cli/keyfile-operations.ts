/**
 * What `spindle keyfile` does, without its command line. Key bytes go to the file that is being
 * written and nowhere else, and are wiped. Bad files and refusals are `CliError`s.
 */
import { stat } from "node:fs/promises";
import { generateLike, generateLine } from "../adapters/keyfile/generate.js";
import type { GeneratedAlgorithm } from "../adapters/keyfile/generate.js";
import { readKeyFile, type KeyFileContent } from "../adapters/keyfile/read.js";
import { createKeyFile, replaceKeyFile } from "../adapters/keyfile/write.js";
import { PortError } from "../adapters/port-error.js";
import type { KeyId, KeyIdentity, KeyRing } from "../core/key-id.js";
import { describeFault } from "../core/keyfile/fault.js";
import { newestLine, wipeLines, type KeyFile, type KeyLine } from "../core/keyfile/key-file.js";
import { parseKeyFile } from "../core/keyfile/parse.js";
import { planSuccessor, type Successor } from "../core/keyfile/successor.js";
import { CliError } from "./exit.js";
import { viewKeyFile, type KeyFileView } from "./keyfile-view.js";

export interface GenerateOptions {
  readonly path: string;
  readonly keyId: KeyId;
  readonly algorithm: GeneratedAlgorithm;
  /** Replace a file that exists. */
  readonly force: boolean;
}

/** Writes a file with one new key. */
export async function generateKeyFile(options: GenerateOptions): Promise<KeyFileView> {
  const { path, force } = options;
  const lines = [generateLine(options.keyId, options.algorithm)];
  try {
    if (force) await replaceKeyFile(path, lines, await ownerOf(path));
    else await createKeyFile(path, lines);
    return viewKeyFile(path, { lines }, 0o600);
  } catch (cause) {
    throw asBadInput(cause, "spindle keyfile next adds a key to it; --force replaces it");
  } finally {
    wipeLines(lines);
  }
}

async function ownerOf(path: string): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const { uid, gid } = await stat(path);
    return { uid, gid };
  } catch {
    // Nothing to keep; what else is wrong, writing will tell.
    return undefined;
  }
}

export async function inspectKeyFile(path: string, ring: KeyRing): Promise<KeyFileView> {
  const { file, mode } = await readWhole(path, ring);
  const view = viewKeyFile(path, file, mode);
  wipeLines(file.lines);
  return view;
}

type WholeFile = Omit<KeyFileContent, "bytes"> & { readonly file: KeyFile };

/** The caller wipes the lines. */
async function readWhole(path: string, ring: KeyRing): Promise<WholeFile> {
  const { bytes, ...rest } = await readKeyFile(path).catch((cause: unknown) => {
    throw asBadInput(cause, null);
  });
  const parsed = parseKeyFile(bytes, ring);
  bytes.fill(0);
  if (parsed.ok) return { ...rest, file: parsed.value };
  const [first] = parsed.error;
  throw new CliError({
    exitCode: 2,
    code: first?.code ?? "KEYFILE_EMPTY",
    message: `${path} is no valid key file`,
    details: parsed.error.map((fault) => describeFault(fault, path)),
    hint: "docs/reference/keyfile.md describes the format",
  });
}

/**
 * A file that cannot be used is bad input; one that cannot be written is the outside world's fault.
 */
function asBadInput(cause: unknown, hint: string | null): unknown {
  if (!(cause instanceof PortError) || cause.code === "KEYFILE_WRITE_FAILED") return cause;
  const { code, message } = cause;
  return new CliError({ exitCode: 2, code, message, hint }, { cause });
}

/** The key the fleet runs: its check value is null when only its id is known. */
export type FleetKey = Pick<KeyIdentity, "keyId"> & { readonly check: KeyIdentity["check"] | null };

export interface NextOptions {
  readonly path: string;
  readonly ring: KeyRing;
  /** Null for the form, algorithm and lengths of the newest key. */
  readonly algorithm: GeneratedAlgorithm | null;
  /** Write even if the newest key of the file is not the fleet's. */
  readonly force: boolean;
  /** Null when there is no fleet to ask, or it has no key yet. */
  readonly fleetKey: () => Promise<FleetKey | null>;
}

export interface NextResult extends KeyFileView {
  readonly keyId: KeyId;
  readonly dropped: readonly KeyId[];
}

/** Prepares the next rotation: the file then holds the key that stays and, after it, a new one. */
export async function addNextKey(options: NextOptions): Promise<NextResult> {
  const { path, ring } = options;
  const { file, uid, gid } = await readWhole(path, ring);
  const secrets = [...file.lines];
  try {
    const { kept, keyId } = await planNext(options, file);
    const fresh = freshLine(options.algorithm, newestLine(file), keyId);
    secrets.push(fresh);
    const lines = [kept, fresh];
    await replaceKeyFile(path, lines, { uid, gid });
    const dropped = file.lines.filter((line) => line !== kept).map((line) => line.keyId);
    return { ...viewKeyFile(path, { lines }, 0o600), keyId, dropped };
  } finally {
    wipeLines(secrets);
  }
}

async function planNext(options: NextOptions, file: KeyFile): Promise<Successor> {
  const { path, ring, force } = options;
  // With --force a fleet that does not answer is no obstacle.
  const fleetKey = await (force ? options.fleetKey().catch(() => null) : options.fleetKey());
  if (fleetKey !== null && !force) refuseUnlessNewest(path, file, fleetKey);
  if (fleetKey === null && !force && file.lines.length > 1) refuseBlindly(path);
  const planned = planSuccessor(file, ring, fleetKey?.keyId ?? null);
  if (planned.ok) return planned.value;
  const hint = "delete the lines after the key that the fleet runs";
  throw notNewest(`${path}: ${planned.error}`, hint);
}

/** Extending a file of two lines drops one of them, and without the fleet nobody knows which one it runs. */
function refuseBlindly(path: string): void {
  const hint = "say which key the fleet runs: --config FILE, --fleet-key-id N, or --force";
  throw notNewest(`${path}: has more than one key, and no fleet is known that runs one of them`, hint);
}

function refuseUnlessNewest(path: string, file: KeyFile, fleetKey: FleetKey): void {
  const newest = viewKeyFile(path, file, 0o600).keys.at(-1);
  const keyId = newest?.keyId;
  if (keyId !== fleetKey.keyId) {
    throw notNewest(
      `the newest key of ${path} is ${keyId}, the fleet runs ${fleetKey.keyId}`,
      "let that rotation end, or use the fleet's file; --force makes a key all the same",
    );
  }
  if (fleetKey.check === null || newest?.check === fleetKey.check) return;
  throw notNewest(
    `key ${keyId} of ${path} has other bytes than key ${keyId} of the fleet`,
    "use the fleet's file; --force makes a key all the same",
  );
}

function notNewest(message: string, hint: string): CliError {
  return new CliError({ exitCode: 3, code: "KEYFILE_NOT_NEWEST", message, hint });
}

function freshLine(
  algorithm: GeneratedAlgorithm | null,
  newest: KeyLine,
  keyId: KeyId,
): KeyLine {
  if (algorithm === null) return generateLike(newest, keyId);
  return { ...generateLine(keyId, algorithm), plus: newest.plus };
}
