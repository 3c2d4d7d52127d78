/**
 * The status server of an agent or a controller: probes, metrics and status. It answers from the status that it is given
 * and keeps nothing itself. Nothing can be changed through it; an agent's can be asked to probe its paths, from this host.
 */
import { createServer, type RequestListener } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono, type Context } from "hono";
import { limits } from "../core/limits.js";
import { fail, succeed, type Result } from "../core/result.js";
import type { PortFailure } from "../ports/failure.js";
import type { ServiceAddress } from "../ports/service-address.js";
import { listen } from "./listen.js";
import type { Metrics } from "./metrics/series.js";
import type { AgentStatus, ControllerStatus, PathCheck, SaListing, UnknownPeers, Verdict } from "./status.js";
import { readMaterial, SecureService, type ServiceTls, type TlsMaterial } from "./tls.js";

/** What the server answers from. Each is called for each request, so it must be cheap. */
export interface StatusSource {
  status(): AgentStatus | ControllerStatus;
  /** Is the program alive and its loop turning? No means: restart it. */
  healthy(): Verdict;
  /** May traffic rely on this node (design 4.3)? */
  ready(): Verdict;
  readonly metrics: Metrics;
  /** Probes the paths to these peers, or to all; null before there are any. Absent where the dataplane cannot. */
  readonly checkPaths?: (peers: readonly string[] | null) => Promise<PathCheck | UnknownPeers | null>;
  /** The SAs with these peers, or all; null before there are any. Of an agent. */
  readonly listSas?: (peers: readonly string[] | null) => SaListing | UnknownPeers | null;
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
  /** Told once when they cannot be used any more, and the last ones go on being served. */
  readonly onUnusable?: (why: string) => void;
}

/** Fails with HTTP_LISTEN_REFUSED, HTTP_LISTEN_FAILED or HTTP_TLS_UNREADABLE. */
export async function startStatusServer(
  at: ServiceAddress,
  source: StatusSource,
  options: StatusServerOptions = { tls: null },
): Promise<Result<StatusServer, PortFailure>> {
  const { tls } = options;
  // Over a unix socket a request may come without a host name.
  const listener = getRequestListener(makeRoutes(source, tls === null).fetch, { hostname: "localhost" });
  const answerTo: RequestListener = (request, response) => void listener(request, response);
  const material = tls === null ? null : await firstMaterial(tls);
  if (material?.ok === false) return fail(material.error);
  const secured = tls === null || material === null ? null : new SecureService(tls, material.value, answerTo);
  const server = secured?.server ?? createServer(answerTo);
  server.maxConnections = limits.httpConnectionsMax;
  const bound = await listen(server, at, tls !== null);
  if (!bound.ok) return fail(bound.error);
  const stopReading = secured?.keepReading(options) ?? ((): void => undefined);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      stopReading();
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return succeed({ address: bound.value, close });
}

async function firstMaterial(tls: ServiceTls): Promise<Result<TlsMaterial, PortFailure>> {
  try {
    return succeed(await readMaterial(tls));
  } catch (cause) {
    const message = `the status server's certificate cannot be used: ${String(cause)}`;
    return fail({ code: "HTTP_TLS_UNREADABLE", message, retryable: false });
  }
}

/**
 * The routes without a socket.
 * @param isLocal whether only this host gets here: what sends packets, or tells who sends to whom, is for nobody else
 */
export function makeRoutes(source: StatusSource, isLocal = true): Hono {
  const routes = new Hono();
  routes.get("/healthz", (context) => answer(context, source.healthy()));
  routes.get("/readyz", (context) => answer(context, source.ready()));
  routes.get("/status", (context) => context.json(source.status()));
  routes.get("/metrics", async (context) =>
    context.body(await source.metrics.render(), 200, {
      "content-type": source.metrics.contentType,
    }),
  );
  const { checkPaths, listSas } = source;
  if (listSas !== undefined && isLocal) {
    routes.get("/sas", (context) => answerFor(context, listSas(context.req.queries("peer") ?? null), "the agent is starting"));
  }
  if (checkPaths !== undefined && isLocal) routes.post("/probe", (context) => probe(context, checkPaths));
  return routes;
}

/** JSON alone, which a page in a browser cannot send to another origin unasked. */
async function probe(context: Context, checkPaths: NonNullable<StatusSource["checkPaths"]>): Promise<Response> {
  if (context.req.header("content-type") !== "application/json") return context.json({ error: "send JSON" }, 415);
  const body: unknown = await context.req.json().catch(() => null);
  const peers = (body as { readonly peers?: unknown } | null)?.peers;
  if (peers !== null && !isNames(peers)) return context.json({ error: "peers: a list of names, or null for all" }, 400);
  return answerFor(context, await checkPaths(peers), "the node is not admitted to the fleet yet");
}

function answerFor(context: Context, found: PathCheck | SaListing | UnknownPeers | null, whyNot: string): Response {
  if (found === null) return context.json({ error: whyNot }, 503);
  return context.json(found, "unknown" in found ? 404 : 200);
}

function isNames(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.length <= limits.peersMax && value.every((one) => typeof one === "string");
}

function answer(context: Context, verdict: Verdict): Response {
  return context.json(verdict, verdict.ok ? 200 : 503);
}
