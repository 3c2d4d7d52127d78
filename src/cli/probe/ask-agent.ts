/** Asks the agent of this host, at its status server, to probe its paths. */
import { request, type IncomingMessage } from "node:http";
import { formatServiceAddress } from "../../http/listen.js";
import type { PathCheck, UnknownPeers } from "../../http/status.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import type { AgentConfig } from "../config/agent.js";
import { CliError } from "../exit.js";

/** @param peers null for all @throws CliError BAD_USAGE, PROBE_NOT_SERVED, PROBE_NOT_ADMITTED, PROBE_PEER_UNKNOWN, PROBE_AGENT_UNREACHABLE */
export async function askAgent(
  { metrics, dataplane }: Pick<AgentConfig, "metrics" | "dataplane">,
  peers: readonly string[] | null,
  signal: AbortSignal,
): Promise<PathCheck> {
  if (dataplane.kind !== "kernel") throw notServed("the userspace dataplane sends no probes");
  if (metrics === null) throw notServed("metrics.enabled is false, so that the agent has no status server");
  if (metrics.tls !== null) throw notServed("metrics.tls opens the status server to others, and probes are for this host alone");
  const { status, body } = await post(metrics.listen, JSON.stringify({ peers }), signal);
  if (status === 404 && "unknown" in body) throw unknownPeers(body);
  if (status === 503) throw notAdmitted();
  if (status !== 200 || !("paths" in body)) throw notServed(`its status server answers with ${status}`);
  return body;
}

function notServed(why: string): CliError {
  const message = `the agent cannot be asked to probe: ${why}`;
  const hint = "it takes the kernel's dataplane, and metrics.listen on loopback or a unix socket";
  return new CliError({ exitCode: 2, code: "PROBE_NOT_SERVED", message, hint });
}

function notAdmitted(): CliError {
  const message = "the agent is not admitted to the fleet yet, so that it has no paths";
  return new CliError({ exitCode: 1, code: "PROBE_NOT_ADMITTED", message, hint: "see `spindle status`" });
}

function unknownPeers({ unknown }: UnknownPeers): CliError {
  const message = `the agent knows no peer ${unknown.join(", ")}`;
  return new CliError({ exitCode: 2, code: "PROBE_PEER_UNKNOWN", message, hint: "see `spindle node list`" });
}

interface Answer {
  readonly status: number;
  readonly body: PathCheck | UnknownPeers | Record<never, never>;
}

function post(at: ServiceAddress, content: string, signal: AbortSignal): Promise<Answer> {
  const place = at.kind === "unix" ? { socketPath: at.path } : { host: at.host, port: at.port };
  const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(content) };
  return new Promise((resolve, reject) => {
    const fail = (cause: Error): void => reject(unreachable(at, cause));
    const asked = request({ ...place, path: "/probe", method: "POST", headers, signal }, (response) => {
      readAll(response).then(resolve, fail);
    });
    asked.once("error", fail).end(content);
  });
}

function unreachable(at: ServiceAddress, cause: Error): CliError {
  const message = `the agent's status server at ${formatServiceAddress(at)} does not answer: ${cause.message}`;
  const hint = "does the agent run, and with this configuration? Over a unix socket it takes the agent's user";
  return new CliError({ exitCode: 1, code: "PROBE_AGENT_UNREACHABLE", message, hint }, { cause });
}

async function readAll(response: IncomingMessage): Promise<Answer> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
  return { status: response.statusCode ?? 0, body: isJson ? (JSON.parse(text) as Answer["body"]) : {} };
}
