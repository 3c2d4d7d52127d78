/**
 * Requests to the Kubernetes API over node:https, with connections kept open. Answers that a caller
 * decides upon (there, absent, conflict) are values; the rest are failures with a code. A server
 * that says "too many requests" is obeyed: its Retry-After is waited out, within the request's time.
 */
import { X509Certificate } from "node:crypto";
import { setMaxListeners } from "node:events";
import { Agent as PlainAgent, request as plainRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { Agent, request as tlsRequest } from "node:https";
import type { Stop } from "../../../ports/failure.js";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { systemClock } from "../../system/clock.js";
import { pause } from "../backoff.js";
import { afterListening } from "../listening-timer.js";
import type { ClusterAccess } from "./access.js";
import { failureOf, readBody, readText, statusMessage } from "./api-failure.js";
import { kubeObjectOf, type KubeObject } from "./kube-object.js";

export type ContentType = "application/json" | "application/merge-patch+json" | "application/json-patch+json";

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  /** Of a PATCH: the fields to merge, or a list of operations (RFC 6902). */
  readonly body?: unknown;
  /** Of the answer; JSON of the object itself when it is left out. */
  readonly accept?: string | undefined;
}

export type ApiAnswer =
  | { readonly kind: "object"; readonly object: KubeObject }
  | { readonly kind: "absent" }
  /** Another version is stored, or an object of that name exists. */
  | { readonly kind: "conflict"; readonly message: string };

export class ApiClient {
  readonly namespace: string;
  readonly requestMsMax: number;
  readonly #access: ClusterAccess;
  readonly #agent: Agent | PlainAgent;
  readonly #request: typeof tlsRequest | typeof plainRequest;
  readonly #closing = new AbortController();
  readonly #stalls = new Set<() => void>();
  /** When the server last answered anything. */
  #answeredMs = 0;

  /** @param requestMsMax how long an answer is waited for */
  constructor(access: ClusterAccess, requestMsMax: number = limits.registryRequestMsMax) {
    this.#access = access;
    this.requestMsMax = requestMsMax;
    setMaxListeners(0, this.signal); // One per request under way.
    this.namespace = access.namespace;
    const { ca } = access;
    const isPlain = access.url.protocol === "http:"; // A proxy on this machine: see access.ts.
    this.#request = isPlain ? plainRequest : tlsRequest;
    this.#agent = isPlain
      ? new PlainAgent({ keepAlive: true })
      : new Agent({ keepAlive: true, ca });
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * @throws PortError REGISTRY_UNREACHABLE, REGISTRY_FORBIDDEN, REGISTRY_RECORD_INVALID,
   * REGISTRY_RECORD_TOO_LARGE, REGISTRY_CLOSED
   */
  async send(request: ApiRequest): Promise<ApiAnswer> {
    const { status, body } = await this.fetch(request);
    if (status === 404) return { kind: "absent" };
    if (status === 409) return { kind: "conflict", message: statusMessage(body) };
    return { kind: "object", object: kubeObjectOf(body) };
  }

  /** `version`: only what has not changed since. */
  async remove(path: string, version?: string): Promise<"removed" | "absent" | "conflict"> {
    const preconditions = version === undefined ? undefined : { resourceVersion: version };
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions };
    const { status } = await this.fetch({ method: "DELETE", path, body });
    if (status === 404) return "absent";
    return status === 409 ? "conflict" : "removed";
  }

  /** What is no object, as the server's metrics. @throws PortError as `fetch` does */
  async fetchText(path: string): Promise<string> {
    const request = { method: "GET", path, accept: "text/plain" } as const;
    const response = await this.open(request, this.requestMsMax, this.signal);
    const text = await readText(response, this.signal);
    if (response.statusCode === 200) return text;
    throw failureOf(response.statusCode ?? 0, null);
  }

  /** @returns an answer below 300, 404, 409 or 410; anything else is thrown */
  async fetch(
    request: ApiRequest,
    timeMs: number = this.requestMsMax,
  ): Promise<{ readonly status: number; readonly body: unknown }> {
    const untilMs = systemClock.nowMs() + timeMs;
    for (let isRenewed = false; ; ) {
      const response = await this.open(request, untilMs - systemClock.nowMs(), this.signal);
      const status = response.statusCode ?? 0;
      const body = await readBody(response, this.signal);
      const waitMs = retryAfterMs(response);
      if (waitMs !== null && systemClock.nowMs() + waitMs < untilMs) {
        await pause(waitMs, this.signal);
      } else if (status === 401 && !isRenewed) {
        this.#access.tokens.renew();
        isRenewed = true;
      } else if (status < 300 || [404, 409, 410].includes(status)) {
        return { status, body };
      } else {
        throw failureOf(status, body, status === 401 ? this.#expiry() : "");
      }
    }
  }

  /** The response as soon as it begins; whoever reads it bounds the rest. */
  open(request: ApiRequest, timeMs: number, signal: AbortSignal): Promise<IncomingMessage> {
    const { path, query, body } = request;
    const url = new URL(path, this.#access.url);
    for (const [name, value] of Object.entries(query ?? {})) url.searchParams.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const askedMs = systemClock.nowMs();
    return new Promise((resolve, reject) => {
      if (this.signal.aborted) return reject(closedError());
      const headers = this.#headers(request, text);
      const { certificate: cert, key } = this.#access.certificates?.() ?? {};
      const refuse = (cause: unknown): void => reject(this.signal.aborted ? closedError() : unreachable(reasonOf(cause)));
      let asked: ClientRequest;
      try {
        asked = this.#request(url, { method: request.method, headers, agent: this.#agent, signal, cert, key });
      } catch (cause) {
        return refuse(cause); // It throws at once for a certificate or key that it cannot use.
      }
      const stopWaiting = afterListening(timeMs, () => {
        asked.destroy(new Error("no answer in time"));
        // One that answers others since is slow, and would be slower for every watch that begins anew.
        if (this.#answeredMs < askedMs) for (const tell of [...this.#stalls]) tell();
      });
      asked.on("response", (response) => {
        stopWaiting();
        this.#answeredMs = systemClock.nowMs();
        resolve(response);
      });
      asked.on("error", (cause) => {
        stopWaiting();
        refuse(cause);
      });
      asked.end(text);
    });
  }

  /** Called when a request, and all asked since, gets no answer in time: whoever only listens may listen to a dead server. */
  onStall(listener: () => void): Stop {
    this.#stalls.add(listener);
    return () => this.#stalls.delete(listener);
  }

  /** Ends every request under way with REGISTRY_CLOSED. */
  close(): void {
    this.#closing.abort();
    this.#agent.destroy();
  }

  /** Why a server may not know us, which it does not say. */
  #expiry(): string {
    const pem = this.#access.certificates?.().certificate;
    const expired = pem === undefined ? null : expiredAt(pem);
    return expired === null ? "" : `; the client certificate expired at ${expired}`;
  }

  #headers(
    { method, body, accept = "application/json" }: ApiRequest,
    text: string | undefined,
  ): Record<string, string> {
    const token = this.#access.tokens.token();
    const patchType: ContentType = Array.isArray(body) ? "application/json-patch+json" : "application/merge-patch+json";
    const type: ContentType = method === "PATCH" ? patchType : "application/json";
    return {
      accept,
      "user-agent": "spindle",
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
      ...(text === undefined
        ? {}
        : { "content-type": type, "content-length": String(Buffer.byteLength(text)) }),
    };
  }
}

/** Null for one that has not, or is none. */
function expiredAt(pem: string): string | null {
  try {
    const { validTo } = new X509Certificate(pem);
    return Date.parse(validTo) < Date.now() ? validTo : null;
  } catch {
    return null;
  }
}

/** Null when the server does not ask for a pause. A part of it is random: nobody comes together. */
function retryAfterMs({ statusCode, headers }: IncomingMessage): number | null {
  if (statusCode !== 429 && statusCode !== 503) return null;
  const seconds = Number(headers["retry-after"]);
  if (headers["retry-after"] === undefined || !Number.isFinite(seconds)) return null;
  return seconds * 1_000 * (1 + Math.random() / 2);
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

export function unreachable(reason: string): PortError {
  return new PortError("REGISTRY_UNREACHABLE", `the Kubernetes API server: ${reason}`, true);
}

export function closedError(): PortError {
  return new PortError("REGISTRY_CLOSED", "the registry was closed", false);
}
