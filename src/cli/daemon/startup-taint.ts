/**
 * The start-up taint of the agent's own Node: pods may come when the agent is ready. It is removed once. An agent that
 * starts again puts none back: its SAs and policies outlived it, and the node's pods run already.
 */
import type { NodeName } from "../../core/node.js";
import { limits } from "../../core/limits.js";
import type { Stop } from "../../ports/failure.js";
import type { Log } from "../../ports/log.js";
import { backoffMs, pause } from "../../adapters/registry/backoff.js";
import type { ApiClient } from "../../adapters/registry/kubernetes/api-client.js";
import { removeStartupTaint } from "../../adapters/registry/kubernetes/startup-taint.js";
import { portErrorOf } from "../../adapters/registry/settle.js";

/** How often it is looked whether the agent is ready. */
const lookMs = 250;

export interface TaintRemoval {
  readonly node: NodeName;
  /** The taint's key. */
  readonly taint: string;
  readonly isReady: () => boolean;
  readonly log: Log;
}

/** Owns `client`: it is closed when the taint is gone, or by the returned stop. */
export function startTaintRemoval(client: ApiClient, removal: TaintRemoval): Stop {
  void run(client, removal).finally(() => client.close());
  return () => client.close();
}

async function run(client: ApiClient, { node, taint, isReady, log }: TaintRemoval): Promise<void> {
  const { signal } = client;
  while (!signal.aborted && !isReady()) await pause(lookMs, signal);
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      const outcome = await removeStartupTaint(client, node, taint);
      log.write("info", outcome === "removed" ? "start-up taint removed" : "no start-up taint", { taint });
      return;
    } catch (cause) {
      const { code, message } = portErrorOf(cause);
      if (signal.aborted) return;
      log.write("warn", "start-up taint not removed, trying again", { taint, code, why: message });
    }
    await pause(backoffMs(attempt, limits.registryReconnectMsMin, limits.registryReconnectMsMax), signal);
  }
}
