/**
 * The status server of an agent or a controller: probes, metrics and status, read-only. It answers
 * from the status that it is given and keeps nothing itself.
 */
import { createServer } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { Hono, type Context } from "hono";
import { limits } from "../core/limits.js";
import { fail, succeed, type Result } from "../core/result.js";
import type { PortFailure } from "../ports/failure.js";
import type { ServiceAddress } from "../ports/service-address.js";
import { listen } from "./listen.js";
import type { Metrics } from "./metrics/series.js";
import type { AgentStatus, ControllerStatus, Verdict } from "./status.js";

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

/** Fails with HTTP_LISTEN_REFUSED or HTTP_LISTEN_FAILED. */
export async function startStatusServer(
  at: ServiceAddress,
  source: StatusSource,
): Promise<Result<StatusServer, PortFailure>> {
  // Over a unix socket a request may come without a host name.
  const listener = getRequestListener(makeRoutes(source).fetch, { hostname: "localhost" });
  const server = createServer((request, response) => void listener(request, response));
  server.maxConnections = limits.httpConnectionsMax;
  const bound = await listen(server, at);
  if (!bound.ok) return fail(bound.error);
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return succeed({ address: bound.value, close });
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
