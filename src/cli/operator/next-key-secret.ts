/**
 * Writes the next fleet key into the Secret that the nodes mount, so that nobody needs to read it:
 * the new key goes from the random numbers of this process to the API server.
 *
 * Invariant: the Secret is written once per rotation. The write names the version that was read, so
 * of two operators one wins; and while a newer key than the fleet's is there, none is added.
 */
import { generateLike, generateLine } from "../../adapters/keyfile/generate.js";
import type { ApiClient } from "../../adapters/registry/kubernetes/api-client.js";
import type { KubeObject } from "../../adapters/registry/kubernetes/kube-object.js";
import type { FleetRecord } from "../../core/fleet/record.js";
import { parseKeyId, type KeyId, type KeyRing } from "../../core/key-id.js";
import { describeFault } from "../../core/keyfile/fault.js";
import { formatKeyFile } from "../../core/keyfile/format.js";
import { newestLine, wipeLines, type KeyFile, type KeyLine } from "../../core/keyfile/key-file.js";
import { parseKeyFile } from "../../core/keyfile/parse.js";
import { planSuccessor } from "../../core/keyfile/successor.js";
import { CliError } from "../exit.js";

export interface KeySecret {
  readonly name: string;
  /** Name of the key file in it. */
  readonly file: string;
  readonly ring: KeyRing;
}

/**
 * @param record of the fleet; null when it has none yet
 * @returns the id of the new key
 * @throws CliError NAMESPACE_UNKNOWN, ROTATION_RUNNING, SECRET_AHEAD, SECRET_CONFLICT, SECRET_UNREADABLE
 */
export async function writeNextKey(
  client: ApiClient,
  secret: KeySecret,
  record: FleetRecord | null,
): Promise<KeyId> {
  if (record !== null && record.phase !== "steady") {
    const message = `rotation ${record.rotation} runs: no key is added before it ends`;
    throw refused("ROTATION_RUNNING", message, "spindle rotate --wait follows it");
  }
  const path = `/api/v1/namespaces/${encodeURIComponent(client.namespace)}/secrets`;
  const secretPath = `${path}/${encodeURIComponent(secret.name)}`;
  const found = await client.send({ method: "GET", path: secretPath });
  return found.kind === "object"
    ? addKey(client, secretPath, found.object, secret, record)
    : makeSecret(client, path, secret, record);
}

async function makeSecret(
  client: ApiClient,
  path: string,
  { name, file, ring }: KeySecret,
  record: FleetRecord | null,
): Promise<KeyId> {
  if (record !== null && record.current !== null) {
    const message = `there is no Secret ${name}, and the fleet runs key ${record.current.keyId}`;
    throw refused("SECRET_UNREADABLE", message, "name the Secret that the nodes mount");
  }
  const first = parseKeyId(1, ring);
  if (!first.ok) throw new Error(first.error);
  const lines = [generateLine(first.value, "aes-gcm-128")];
  try {
    const metadata = { name };
    const body = { apiVersion: "v1", kind: "Secret", metadata, data: { [file]: encoded(lines) } };
    const answer = await client.send({ method: "POST", path, body });
    if (answer.kind === "object") return first.value;
    throw answer.kind === "conflict" ? conflict(name) : namespaceUnknown(client.namespace);
  } finally {
    wipeLines(lines);
  }
}

async function addKey(
  client: ApiClient,
  path: string,
  object: KubeObject,
  { name, file, ring }: KeySecret,
  record: FleetRecord | null,
): Promise<KeyId> {
  const read = decoded(object, name, file, ring);
  const secrets = [...read.lines];
  try {
    refuseAhead(read, name, record);
    const plan = planSuccessor(read, ring, record?.current?.keyId ?? null);
    if (!plan.ok) throw refused("SECRET_UNREADABLE", plan.error, "see docs/reference/keyfile.md");
    const { kept, keyId } = plan.value;
    const fresh = generateLike(newestLine(read), keyId);
    secrets.push(fresh);
    const { resourceVersion } = object.metadata;
    const data = { [file]: encoded([kept, fresh]) };
    const body = { metadata: { resourceVersion }, data };
    const answer = await client.send({ method: "PATCH", path, body });
    if (answer.kind === "object") return keyId;
    throw answer.kind === "conflict" ? conflict(name) : removed(name);
  } finally {
    wipeLines(secrets);
  }
}

/** A key that was aborted stays in the file until the next one; another newer one is on its way. */
function refuseAhead(file: KeyFile, name: string, record: FleetRecord | null): void {
  const newest = newestLine(file).keyId;
  const isRefused = record?.refused.some(({ keyId }) => keyId === newest) === true;
  const current = record?.current?.keyId ?? null;
  if (current === newest || isRefused) return;
  const running = current === null ? "no key yet" : `key ${current}`;
  throw refused(
    "SECRET_AHEAD",
    `Secret ${name} holds key ${newest} already, and the fleet runs ${running}`,
    "a mounted Secret takes up to a minute to every node; spindle status shows who offers the key",
  );
}

/** The caller wipes the lines. Messages hold no byte of the file. */
function decoded({ data }: KubeObject, name: string, file: string, ring: KeyRing): KeyFile {
  const content = (data as Readonly<Record<string, unknown>> | undefined)?.[file];
  if (typeof content !== "string") {
    const message = `Secret ${name} has no file ${file}`;
    throw refused("SECRET_UNREADABLE", message, "--secret-file names the key file in it");
  }
  const bytes = Buffer.from(content, "base64");
  const parsed = parseKeyFile(bytes, ring);
  bytes.fill(0);
  if (parsed.ok) return parsed.value;
  throw new CliError({
    exitCode: 2,
    code: "SECRET_UNREADABLE",
    message: `${file} of Secret ${name} is no valid key file`,
    details: parsed.error.map((fault) => describeFault(fault, `${name}/${file}`)),
    hint: "docs/reference/keyfile.md describes the format",
  });
}

function encoded(lines: readonly KeyLine[]): string {
  const bytes = Buffer.from(formatKeyFile(lines));
  const text = bytes.toString("base64");
  bytes.fill(0);
  return text;
}

function conflict(name: string): CliError {
  const message = `somebody else wrote Secret ${name} at the same time: nothing was changed by this command`;
  return refused("SECRET_CONFLICT", message, "spindle status shows which key comes next");
}

/** What is created is absent only when the place for it is. */
function namespaceUnknown(namespace: string): CliError {
  const message = `there is no namespace ${namespace}: no key was written`;
  return refused("NAMESPACE_UNKNOWN", message, "create it, or correct registry.kubernetes.namespace");
}

function removed(name: string): CliError {
  const message = `Secret ${name} was removed while a key was added to it: no key was written`;
  return refused("SECRET_UNREADABLE", message, "restore the Secret that the nodes mount");
}

function refused(code: string, message: string, hint: string): CliError {
  return new CliError({ exitCode: 1, code, message, hint });
}
