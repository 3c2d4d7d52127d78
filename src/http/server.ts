/**
 * The status server of an agent or a controller: probes, metrics and status, read-only. It answers
 * from the status that it is given and keeps nothing itself.
 */
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import { getRequestListener } from "@hono/node-server";
import { Hono, type Context } from "hono";
import { limits } from "../core/limits.js";
import { fail, succeed, type Result } from "../core/result.js";
import type { PortFailure } from "../ports/failure.js";
import type { ServiceAddress } from "../ports/service-address.js";
import { listen } from "./listen.js";
import type { Metrics } from "./metrics/series.js";
import type { AgentStatus, ControllerStatus, Verdict } from "./status.js";
import { isSameMaterial, readMaterial, type ServiceTls, type TlsMaterial } from "./tls.js";

/** What the server answers from. Each is called for each request, so it must be cheap. */
export interface StatusSource {
  status(): AgentStatus | ControllerStatus;
  /** Is the program alive and its loop turning? No means: restart it. */
  healthy(): Verdict;
  /** May traffic rely on this node (design 4.3)? */
  ready(): Verdict;
  readonly metrics: Metrics;
}

export interface StatusServer {
  /** Where it listens; the port is the one the system chose for port 0. */
  readonly address: ServiceAddress;
  close(): Promise<void>;
}

export interface StatusServerOptions {
  /** Null: plain HTTP, on loopback or a unix socket only. */
  readonly tls: ServiceTls | null;
  /** How often the files of `tls` are read again. */
  readonly rereadMs?: number;
}

/** Fails with HTTP_LISTEN_REFUSED, HTTP_LISTEN_FAILED or HTTP_TLS_UNREADABLE. */
export async function startStatusServer(
  at: ServiceAddress,
  source: StatusSource,
  { tls, rereadMs = limits.httpCertificateReadMs }: StatusServerOptions = { tls: null },
): Promise<Result<StatusServer, PortFailure>> {
  // Over a unix socket a request may come without a host name.
  const listener = getRequestListener(makeRoutes(source).fetch, { hostname: "localhost" });
  const answerTo: RequestListener = (request, response) => void listener(request, response);
  const secured = tls === null ? null : await secure(tls, answerTo, rereadMs);
  if (secured?.ok === false) return fail(secured.error);
  const server = secured === null ? createServer(answerTo) : secured.value;
  server.maxConnections = limits.httpConnectionsMax;
  const bound = await listen(server, at, tls !== null);
  if (!bound.ok) return fail(bound.error);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return succeed({ address: bound.value, close });
}

async function secure(
  tls: ServiceTls,
  listener: RequestListener,
  rereadMs: number,
): Promise<Result<SecureServer, PortFailure>> {
  let material: TlsMaterial;
  try {
    material = await readMaterial(tls);
  } catch (cause) {
    const message = `the status server's certificate cannot be used: ${String(cause)}`;
    return fail({ code: "HTTP_TLS_UNREADABLE", message, retryable: false });
  }
  const isAsked = tls.clientAuthorityFile !== null;
  const server = createSecureServer({ ...material, requestCert: isAsked, rejectUnauthorized: isAsked }, listener);
  const reread = async (): Promise<void> => {
    const read = await readMaterial(tls).catch(() => null);
    if (read === null || isSameMaterial(read, material)) return;
    material = read;
    server.setSecureContext(read);
  };
  const timer = setInterval(() => void reread(), rereadMs).unref();
  return succeed(server.once("close", () => clearInterval(timer)));
}

/** The routes without a socket. */
export function makeRoutes(source: StatusSource): Hono {
  const routes = new Hono();
  routes.get("/healthz", (context) => answer(context, source.healthy()));
  routes.get("/readyz", (context) => answer(context, source.ready()));
  routes.get("/status", (context) => context.json(source.status()));
  routes.get("/metrics", async (context) =>
    context.body(await source.metrics.render(), 200, {
      "content-type": source.metrics.contentType,
    }),
  );
  return routes;
}

function answer(context: Context, verdict: Verdict): Response {
  return context.json(verdict, verdict.ok ? 200 : 503);
}
