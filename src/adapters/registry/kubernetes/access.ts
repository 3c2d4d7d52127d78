/**
 * How a program reaches the API server: from inside a pod by its service account, from elsewhere by
 * a kubeconfig. Tokens in files are read again, since Kubernetes replaces them every hour or so.
 *
 * Plug-ins that a kubeconfig may ask to run (`exec`, `auth-provider`) are refused: a daemon with the
 * rights to change IPsec does not start programs that a file names.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { createSecureContext } from "node:tls";
import { parse } from "yaml";
import { z } from "zod";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { systemClock } from "../../system/clock.js";

export interface ClusterAccess {
  readonly url: URL;
  readonly namespace: string;
  readonly ca: string | undefined;
  readonly tokens: TokenSource;
  /** Null without a client certificate. */
  readonly certificates: CertificateSource | null;
}

export interface ClientCertificate {
  /** PEM, both. */
  readonly certificate: string;
  readonly key: string;
}

export type CertificateSource = () => ClientCertificate;

/** `renew` is called when the server did not accept what `token` gave. */
export interface TokenSource {
  readonly token: () => string | null;
  readonly renew: () => void;
}

export interface KubernetesPlace {
  /** Path of a kubeconfig; null inside a pod. */
  readonly kubeconfig: string | null;
  /** Null: the kubeconfig's current one. */
  readonly context: string | null;
  /** Null: the context's, or the pod's. */
  readonly namespace: string | null;
}

const serviceAccount = "/var/run/secrets/kubernetes.io/serviceaccount";

/** `nowMs`: when renewed certificates are looked for. @throws PortError KUBERNETES_ACCESS_INVALID */
export function openAccess(place: KubernetesPlace, nowMs: () => number = systemClock.nowMs): ClusterAccess {
  return place.kubeconfig === null ? fromPod(place) : fromKubeconfig(place.kubeconfig, place, nowMs);
}

function fromPod({ namespace }: KubernetesPlace): ClusterAccess {
  const host = process.env["KUBERNETES_SERVICE_HOST"];
  const port = process.env["KUBERNETES_SERVICE_PORT"] ?? "443";
  if (host === undefined || !existsSync(`${serviceAccount}/token`)) {
    throw invalid("this is no pod with a service account: name a kubeconfig (registry.kubernetes.kubeconfig)");
  }
  return {
    url: new URL(`https://${host.includes(":") ? `[${host}]` : host}:${port}`),
    namespace: namespace ?? read(`${serviceAccount}/namespace`).trim(),
    ca: read(`${serviceAccount}/ca.crt`),
    certificates: null,
    tokens: tokensOfFile(`${serviceAccount}/token`),
  };
}

const clusterSchema = z.object({
  server: z.url(),
  "certificate-authority": z.string().optional(),
  "certificate-authority-data": z.string().optional(),
  "insecure-skip-tls-verify": z.literal(false, "is refused: name the authority").optional(),
});
const userSchema = z.object({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  "client-certificate": z.string().optional(),
  "client-certificate-data": z.string().optional(),
  "client-key": z.string().optional(),
  "client-key-data": z.string().optional(),
  exec: z.undefined("is refused: use a token file or a certificate").optional(),
  "auth-provider": z.undefined("is refused: use a token file or a certificate").optional(),
});
const contextSchema = z.object({
  cluster: z.string(),
  user: z.string(),
  namespace: z.string().optional(),
});
const kubeconfigSchema = z.object({
  "current-context": z.string().optional(),
  clusters: z.array(z.object({ name: z.string(), cluster: z.unknown() })),
  users: z.array(z.object({ name: z.string(), user: z.unknown() })),
  contexts: z.array(z.object({ name: z.string(), context: z.unknown() })),
});

/** Only what the chosen context names is checked: other users of the file may need plug-ins. */
function fromKubeconfig(path: string, place: KubernetesPlace, nowMs: () => number): ClusterAccess {
  const file = checked(kubeconfigSchema, parseYaml(path), path);
  const name = place.context ?? file["current-context"] ?? "";
  const named = file.contexts.find((one) => one.name === name);
  if (named === undefined) throw invalid(`${path}: there is no context "${name}"`);
  const context = checked(contextSchema, named.context, `${path}: context ${name}`);
  const cluster = checked(
    clusterSchema,
    file.clusters.find((one) => one.name === context.cluster)?.cluster,
    `${path}: cluster ${context.cluster}`,
  );
  const user = checked(
    userSchema,
    file.users.find((one) => one.name === context.user)?.user ?? {},
    `${path}: user ${context.user}`,
  );
  const url = new URL(cluster.server);
  if (url.protocol !== "https:" && !isLocalProxy(url)) {
    throw invalid(`${path}: the server must be an https:// address`);
  }
  const inFile = (file: string | undefined, data: string | undefined): string | undefined =>
    embedded(data) ?? (file === undefined ? undefined : read(resolve(dirname(path), file)));
  return {
    url,
    namespace: place.namespace ?? context.namespace ?? "default",
    ca: inFile(cluster["certificate-authority"], cluster["certificate-authority-data"]),
    certificates: certificatesOf(
      () => ({
        certificate: inFile(user["client-certificate"], user["client-certificate-data"]),
        key: inFile(user["client-key"], user["client-key-data"]),
      }),
      `${path}: user ${context.user}: ${pairPlace(user, dirname(path))}`,
      nowMs,
    ),
    tokens:
      user.tokenFile === undefined
        ? { token: () => user.token ?? null, renew: () => undefined }
        : tokensOfFile(resolve(dirname(path), user.tokenFile)),
  };
}

/** `kubectl proxy`: plain, but only this machine can reach it. */
function isLocalProxy({ protocol, hostname }: URL): boolean {
  return protocol === "http:" && ["127.0.0.1", "localhost", "[::1]"].includes(hostname);
}

/** Keeps the last token while the file cannot be read: it may be in the middle of a swap. */
function tokensOfFile(path: string): TokenSource {
  let token: string | null = null;
  let readMs = -Infinity;
  return {
    token: () => {
      if (systemClock.nowMs() - readMs < limits.kubernetesTokenReadMs) return token;
      try {
        token = readFileSync(path, "utf8").trim();
        readMs = systemClock.nowMs();
      } catch {
        if (token === null) throw invalid(`the token file ${path} cannot be read`);
      }
      return token;
    },
    renew: () => {
      readMs = -Infinity;
    },
  };
}

/** Where both halves of a pair are, for messages. */
function pairPlace(user: z.infer<typeof userSchema>, folder: string): string {
  const half = (name: "client-certificate" | "client-key"): string => {
    const file = user[name];
    if (embedded(user[`${name}-data`]) !== undefined) return `${name}-data`;
    return file === undefined ? name : `${name} ${resolve(folder, file)}`;
  };
  return `${half("client-certificate")} and ${half("client-key")}`;
}

type Halves = { readonly [half in keyof ClientCertificate]: string | undefined };

/**
 * Read again as tokens are, so that renewed files need no restart. A renewal writes two files: while one cannot be read
 * or does not fit the other, the last pair serves, and both are read again soon.
 */
function certificatesOf(readHalves: () => Halves, place: string, nowMs: () => number): CertificateSource | null {
  const first = usablePair(readHalves(), place);
  if (first === null) return null;
  let last = first;
  let readAgainMs = nowMs() + limits.kubernetesTokenReadMs;
  return () => {
    if (nowMs() < readAgainMs) return last;
    const pair = orNull(() => usablePair(readHalves(), place));
    readAgainMs = nowMs() + (pair === null ? limits.kubernetesPairRetryMs : limits.kubernetesTokenReadMs);
    last = pair ?? last;
    return last;
  };
}

/** Null when neither half is named. OpenSSL says what is wrong without a byte of what it read. */
function usablePair({ certificate, key }: Halves, place: string): ClientCertificate | null {
  if (certificate === undefined && key === undefined) return null;
  if (certificate === undefined || key === undefined) {
    throw invalid(`${place}: ${key === undefined ? "client-key" : "client-certificate"} is missing: name both, or neither`);
  }
  // OpenSSL is not asked about an empty one: Node would go without a certificate.
  if (certificate === "" || key === "") throw invalid(`${place}: the ${key === "" ? "key" : "certificate"} is empty, expected PEM`);
  try {
    createSecureContext({ cert: certificate, key });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : "unknown fault";
    throw invalid(`${place} must be PEM, not encrypted, and belong together: ${why}`);
  }
  return { certificate, key };
}

function orNull<T>(attempt: () => T): T | null {
  try {
    return attempt();
  } catch {
    return null;
  }
}

function parseYaml(path: string): unknown {
  const text = read(path);
  try {
    return parse(text);
  } catch {
    throw invalid(`${path} is not YAML`);
  }
}

/** Empty is left out, as it is for kubectl. */
function embedded(data: string | undefined): string | undefined {
  return data === undefined || data === "" ? undefined : Buffer.from(data, "base64").toString("utf8");
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown fault";
    throw invalid(`${path} cannot be read: ${code}`);
  }
}

/** Values are left out: they may be secret. */
function checked<T>(schema: z.ZodType<T>, value: unknown, place: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  throw invalid(`${place}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? "is invalid"}`);
}

function invalid(message: string): PortError {
  return new PortError("KUBERNETES_ACCESS_INVALID", message, false);
}
