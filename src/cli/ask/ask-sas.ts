/** Asks the agent of this host, at its status server, for its SAs with peers. */
import { formatServiceAddress } from "../../http/listen.js";
import type { SaListing, UnknownPeers } from "../../http/status.js";
import type { AgentConfig } from "../config/agent.js";
import { CliError } from "../exit.js";
import { askStatusServer, type StatusAnswer } from "./ask-status-server.js";

type Answer = StatusAnswer<SaListing | UnknownPeers>;

/** @throws CliError STATUS_NOT_SERVED, STATUS_AGENT_UNREACHABLE, STATUS_PEER_UNKNOWN */
export async function askSas(
  { metrics }: Pick<AgentConfig, "metrics">,
  peers: readonly string[],
  signal: AbortSignal,
): Promise<SaListing> {
  if (metrics === null) throw notServed("metrics.enabled is false, so that the agent has no status server");
  if (metrics.tls !== null) throw notServed("metrics.tls opens the status server to others, and SAs are shown to this host alone");
  const { status, body } = await ask(metrics.listen, peers, signal);
  if (status === 404 && "unknown" in body) throw unknownPeers(body);
  if (status !== 200 || !("sas" in body)) throw notServed(`its status server answers with ${status}`);
  return body;
}

async function ask(at: NonNullable<AgentConfig["metrics"]>["listen"], peers: readonly string[], signal: AbortSignal): Promise<Answer> {
  const path = `/sas?${new URLSearchParams(peers.map((peer): [string, string] => ["peer", peer])).toString()}`;
  try {
    return await askStatusServer(at, { path }, signal);
  } catch (cause) {
    const message = `the agent's status server at ${formatServiceAddress(at)} does not answer: ${String(cause)}`;
    const hint = "does the agent run, and with this configuration? Over a unix socket it takes the agent's user";
    throw new CliError({ exitCode: 1, code: "STATUS_AGENT_UNREACHABLE", message, hint }, { cause });
  }
}

function notServed(why: string): CliError {
  const message = `the agent cannot be asked for its SAs: ${why}`;
  const hint = "it takes an agent of this build, and metrics.listen on loopback or a unix socket";
  return new CliError({ exitCode: 2, code: "STATUS_NOT_SERVED", message, hint });
}

function unknownPeers({ unknown }: UnknownPeers): CliError {
  const message = `the agent knows no peer ${unknown.join(", ")}`;
  return new CliError({ exitCode: 2, code: "STATUS_PEER_UNKNOWN", message, hint: "see `spindle node list`" });
}
