/** Asks the agent of this host, at its status server, to probe its paths. */
import { formatServiceAddress } from "../../http/listen.js";
import type { PathCheck, UnknownPeers } from "../../http/status.js";
import type { ServiceAddress } from "../../ports/service-address.js";
import type { AgentConfig } from "../config/agent.js";
import { CliError } from "../exit.js";
import { askStatusServer, type StatusAnswer } from "./ask-status-server.js";

/** @param peers null for all @throws CliError BAD_USAGE, PROBE_NOT_SERVED, PROBE_NOT_ADMITTED, PROBE_PEER_UNKNOWN, PROBE_AGENT_UNREACHABLE */
export async function askForProbes(
  { metrics, dataplane }: Pick<AgentConfig, "metrics" | "dataplane">,
  peers: readonly string[] | null,
  signal: AbortSignal,
): Promise<PathCheck> {
  if (dataplane.kind !== "kernel") throw notServed("the userspace dataplane sends no probes");
  if (metrics === null) throw notServed("metrics.enabled is false, so that the agent has no status server");
  if (metrics.tls !== null) throw notServed("metrics.tls opens the status server to others, and probes are for this host alone");
  const { status, body } = await ask(metrics.listen, peers, signal);
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

async function ask(at: ServiceAddress, peers: readonly string[] | null, signal: AbortSignal): Promise<StatusAnswer<PathCheck | UnknownPeers>> {
  try {
    return await askStatusServer(at, { path: "/probe", content: { peers } }, signal);
  } catch (cause) {
    const message = `the agent's status server at ${formatServiceAddress(at)} does not answer: ${String(cause)}`;
    const hint = "does the agent run, and with this configuration? Over a unix socket it takes the agent's user";
    throw new CliError({ exitCode: 1, code: "PROBE_AGENT_UNREACHABLE", message, hint }, { cause });
  }
}
