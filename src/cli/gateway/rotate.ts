/** `spindle gateway rotate`: orders a rotation of links and, with `--wait`, follows it to its end. */
import { randomUUID } from "node:crypto";
import { hostname, userInfo } from "node:os";
import { systemClock } from "../../adapters/system/clock.js";
import type { LinkName } from "../../core/gateway/link.js";
import type { LinkRecord, LinkRequest } from "../../core/gateway/record.js";
import { findConfig, loadGatewayTarget } from "../config/load.js";
import { CliError } from "../exit.js";
import { waitUntil } from "../operator/wait.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";
import { withGateways, type GatewayWatch } from "./gateway-watch.js";
import { describeRotation } from "./status.js";

export interface GatewayRotateFlags extends OutputOptions {
  readonly config?: string;
  readonly all?: true;
  readonly reason: string;
  readonly wait?: true;
  readonly timeout: number;
}

export interface GatewayRotateResult {
  readonly schemaVersion: 1;
  readonly links: readonly { readonly link: string; readonly request: string; readonly outcome: string; readonly words: string }[];
  readonly ok: boolean;
}

export async function rotateLinks(names: readonly string[], flags: GatewayRotateFlags, shell: Shell): Promise<void> {
  const target = await loadGatewayTarget(findConfig(flags.config, shell.env));
  await withGateways(target, async (watch) => {
    const links = chosenLinks(names, flags.all === true, watch);
    const requests = links.map((link) => requestOf(link, flags.reason));
    for (const request of requests) await watch.put(request);
    const result = flags.wait === true ? await follow(watch, requests, flags, shell) : ordered(requests);
    await printResult(shell.stdout, formatOf(flags), result, () => result.links.map(({ link, words }) => `${link}: ${words}`).join("\n"));
    if (!result.ok) shell.exitWith(result.links.some(({ outcome }) => outcome === "waiting") ? 4 : 1);
  });
}

/** @throws CliError BAD_USAGE, GATEWAY_LINK_UNKNOWN */
function chosenLinks(names: readonly string[], all: boolean, { links }: GatewayWatch): readonly LinkName[] {
  if (all === names.length > 0) {
    throw new CliError({ exitCode: 2, code: "BAD_USAGE", message: "name the links to rotate, or say --all" });
  }
  if (all) return [...links.keys()];
  return names.map((name) => {
    const found = [...links.keys()].find((one) => one === name);
    if (found !== undefined) return found;
    const hint = `links: ${[...links.keys()].join(", ") || "none"}`;
    throw new CliError({ exitCode: 2, code: "GATEWAY_LINK_UNKNOWN", message: `there is no link ${JSON.stringify(name)}`, hint });
  });
}

export function requestOf(link: LinkName, why: string): LinkRequest {
  const by = `${userInfo().username}@${hostname()}`;
  return { schemaVersion: 1, id: randomUUID(), link, why, by, at: systemClock.wallAt() };
}

function ordered(requests: readonly LinkRequest[]): GatewayRotateResult {
  const words = "ordered; spindle gateway status shows how far it is";
  return { schemaVersion: 1, links: requests.map(({ link, id }) => ({ link, request: id, outcome: "ordered", words })), ok: true };
}

async function follow(
  watch: GatewayWatch,
  requests: readonly LinkRequest[],
  { timeout }: GatewayRotateFlags,
  shell: Shell,
): Promise<GatewayRotateResult> {
  const waited = new Map<string, string>();
  const placed = new Set<string>();
  const haveEnded = (): true | null => {
    for (const request of requests) {
      const outcome = outcomeOf(watch, request, placed);
      if (outcome !== null && !waited.has(request.id)) waited.set(request.id, outcome);
    }
    return waited.size === requests.length ? true : null;
  };
  await waitUntil(watch, haveEnded, { signal: shell.interrupted(), timeoutMs: timeout });
  const links = requests.map(({ id, link }) => {
    const outcome = waited.get(id) ?? "waiting";
    return { link, request: id, outcome, words: wordsFor(outcome, watch.links.get(link)) };
  });
  return { schemaVersion: 1, links, ok: links.every(({ outcome }) => outcome === "done") };
}

function wordsFor(outcome: string, record: LinkRecord | undefined): string {
  if (outcome === "waiting") return "it goes on; spindle gateway status shows how far it is";
  if (outcome === "replaced") return "a later order took the place of this one before it was taken up";
  return describeRotation(record?.rotation ?? null);
}

/**
 * Null until the order was taken up and its rotation has ended; a link that is gone has ended, too.
 * @param placed orders that were seen in the registry: one that is no longer there was replaced
 */
function outcomeOf({ links, requests }: GatewayWatch, request: LinkRequest, placed: Set<string>): string | null {
  const record = links.get(request.link);
  if (record === undefined) return "gone";
  if (record.answeredRequest === request.id) {
    const { outcome = "running" } = record.rotation ?? {};
    return outcome === "running" ? null : outcome;
  }
  if (requests.get(request.link)?.id === request.id) placed.add(request.id);
  else if (placed.has(request.id)) return "replaced";
  return null;
}
