/**
 * Writes the next fleet key into the Secret that the nodes mount, so that nobody needs to read it: the new key goes from the
 * random numbers of this process to the API server. For `rotate --secret`, and for the process that a controller starts.
 *
 * Invariant: the Secret is written once per rotation. The write names the version that was read, so of two writers one
 * wins; and while a key that the fleet has yet to take up is there, none is added. What passed through this process cannot be
 * wiped all (a request's text is a string): it ends after the write.
 */
import { generateLike, generateLine } from "../../adapters/keyfile/generate.js";
import { PortError } from "../../adapters/port-error.js";
import type { ApiAnswer, ApiClient, ApiRequest } from "../../adapters/registry/kubernetes/api-client.js";
import type { KubeObject } from "../../adapters/registry/kubernetes/kube-object.js";
import { parseKeyId, type KeyId, type KeyRing } from "../../core/key-id.js";
import { describeFault } from "../../core/keyfile/fault.js";
import { formatKeyFile } from "../../core/keyfile/format.js";
import { newestLine, wipeLines, type KeyFile, type KeyLine } from "../../core/keyfile/key-file.js";
import { parseKeyFile } from "../../core/keyfile/parse.js";
import { planNextKey, type FleetKeyIds } from "../../core/keyfile/successor.js";
import { CliError } from "../exit.js";

export interface KeySecret {
  readonly name: string;
  /** Name of the key file in it. */
  readonly file: string;
  readonly ring: KeyRing;
}

export interface NextKey {
  readonly keyId: KeyId;
  /** False when it was there already, for the fleet to take up. */
  readonly isNew: boolean;
}

/**
 * @param mayMake a Secret that is absent is made, with a first key, for a fleet that has none
 * @throws CliError NAMESPACE_UNKNOWN, SECRET_BEHIND, SECRET_CONFLICT, SECRET_FORBIDDEN, SECRET_IMMUTABLE, SECRET_UNREADABLE
 */
export async function writeNextKey(client: ApiClient, secret: KeySecret, known: FleetKeyIds, mayMake: boolean): Promise<NextKey> {
  const { name } = secret;
  const path = `/api/v1/namespaces/${encodeURIComponent(client.namespace)}/secrets`;
  const secretPath = `${path}/${encodeURIComponent(name)}`;
  const found = await send(client, name, { method: "GET", path: secretPath });
  if (found.kind === "object") return addKey(client, secretPath, found.object, secret, known);
  if (known.current !== null) {
    const message = `there is no Secret ${name} in namespace ${client.namespace}, and the fleet runs key ${known.current}`;
    throw refused("SECRET_UNREADABLE", message, "name the Secret that the nodes mount");
  }
  if (mayMake) return makeSecret(client, path, secret);
  const message = `there is no Secret ${name} in namespace ${client.namespace}`;
  throw refused("SECRET_UNREADABLE", message, "make it: spindle keyfile generate, then kubectl create secret");
}

async function makeSecret(client: ApiClient, path: string, { name, file, ring }: KeySecret): Promise<NextKey> {
  const first = parseKeyId(1, ring);
  if (!first.ok) throw new Error(first.error);
  const lines = [generateLine(first.value, "aes-gcm-128")];
  try {
    const metadata = { name };
    const body = { apiVersion: "v1", kind: "Secret", metadata, data: { [file]: encoded(lines) } };
    const answer = await send(client, name, { method: "POST", path, body });
    if (answer.kind === "object") return { keyId: first.value, isNew: true };
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
  known: FleetKeyIds,
): Promise<NextKey> {
  const read = decoded(object, name, file, ring);
  const secrets = [...read.lines];
  try {
    const plan = planNextKey(read.lines.map(({ keyId }) => keyId), ring, known);
    if (plan.kind === "there") return { keyId: plan.keyId, isNew: false };
    if (plan.kind === "behind") throw behind(name, plan.newest, known.current);
    if (plan.kind === "full") throw ringFull(plan.keyId, known.current);
    if (object.immutable === true) throw immutable(name);
    const kept = read.lines.filter(({ keyId }) => keyId === plan.kept);
    const fresh = generateLike(newestLine(read), plan.keyId);
    secrets.push(fresh);
    const { resourceVersion } = object.metadata;
    const data = { [file]: encoded([...kept, fresh]) };
    const body = { metadata: { resourceVersion }, data };
    const answer = await send(client, name, { method: "PATCH", path, body });
    if (answer.kind === "object") return { keyId: plan.keyId, isNew: true };
    throw answer.kind === "conflict" ? conflict(name) : removed(name);
  } finally {
    wipeLines(secrets);
  }
}

async function send(client: ApiClient, name: string, request: ApiRequest): Promise<ApiAnswer> {
  try {
    return await client.send(request);
  } catch (cause) {
    if (!(cause instanceof PortError) || cause.code !== "REGISTRY_FORBIDDEN") throw cause;
    const verb = { GET: "get", POST: "create", PATCH: "patch", PUT: "update", DELETE: "delete" }[request.method];
    const message = `the API server does not let this account ${verb} Secret ${name}: no key was written`;
    throw refused("SECRET_FORBIDDEN", message, "give it get and patch on this Secret (the chart's rotation.generate)");
  }
}

/** The caller wipes the lines. Messages hold no byte of the file. */
function decoded({ data }: KubeObject, name: string, file: string, ring: KeyRing): KeyFile {
  const content = (data as Readonly<Record<string, unknown>> | undefined)?.[file];
  if (typeof content !== "string") {
    const message = `Secret ${name} has no file ${file}`;
    throw refused("SECRET_UNREADABLE", message, "name the key file in it: --secret-file, or rotation.generate.file");
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

function behind(name: string, newest: KeyId, current: KeyId | null): CliError {
  const message = `Secret ${name} ends with key ${newest}, and the fleet runs key ${current ?? "?"}, which must be in it`;
  return refused("SECRET_BEHIND", message, "name the Secret that the nodes mount, or put the key in use back into it");
}

function ringFull(keyId: KeyId, current: KeyId | null): CliError {
  const message = `key id ${keyId} would not count as newer than ${current ?? "?"}, which the fleet runs: too many were aborted`;
  return refused("SECRET_BEHIND", message, "see docs/reference/keyfile.md");
}

function immutable(name: string): CliError {
  const message = `Secret ${name} is immutable: no key can be added to it`;
  return refused("SECRET_IMMUTABLE", message, "make it anew with the same content, without immutable: true");
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
