/**
 * One watch request: the events of its lines until it ends. It ends by itself when the server says
 * nothing for too long, not even a bookmark, or when requests beside it get no answer.
 */
import type { IncomingMessage } from "node:http";
import { z } from "zod";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { systemClock } from "../../system/clock.js";
import { closedError, unreachable, type ApiClient, type ApiRequest } from "./api-client.js";
import { failureOf, readBody } from "./api-failure.js";
import { kubeObjectOf, type KubeObject } from "./kube-object.js";

export interface ObjectChange {
  readonly kind: "put" | "removed" | "bookmark";
  readonly object: KubeObject;
}

export interface WatchOptions {
  readonly idleMs: number;
  readonly change: (change: ObjectChange) => void;
}

/** - ended: the server closed it in good order. - gap: its history does not go back that far. */
export type WatchEnd = "ended" | "gap";

const eventSchema = z.object({ type: z.string(), object: z.unknown().optional() });
const bookmarkSchema = z.object({ metadata: z.object({ resourceVersion: z.string() }) });
const statusSchema = z.object({ code: z.number().optional() });

/** @throws PortError when the connection fails or the server refuses */
export async function watchStream(
  client: ApiClient,
  request: ApiRequest,
  options: WatchOptions,
  signal: AbortSignal,
): Promise<WatchEnd> {
  const any = AbortSignal.any([signal, client.signal]);
  const response = await client.open(request, client.requestMsMax, any);
  const status = response.statusCode ?? 0;
  if (status === 410) {
    response.resume();
    return "gap";
  }
  if (status !== 200) throw failureOf(status, await readBody(response, client.signal));
  return readEvents(client, response, options, any);
}

async function readEvents(
  client: ApiClient,
  response: IncomingMessage,
  { idleMs, change }: WatchOptions,
  signal: AbortSignal,
): Promise<WatchEnd> {
  const idle = setTimeout(() => response.destroy(new Error("a watch fell silent")), idleMs);
  let heardMs = systemClock.nowMs();
  const forget = client.onStall(() => {
    const isSilent = systemClock.nowMs() - heardMs > limits.registryPingMs;
    if (isSilent) response.destroy(new Error("requests get no answer"));
  });
  try {
    for await (const lines of linesOf(response)) {
      idle.refresh();
      heardMs = systemClock.nowMs();
      if (tellEach(lines, change, signal) === "gap") return "gap";
      if (signal.aborted) break;
    }
    if (signal.aborted) throw closedError();
    return "ended";
  } catch (cause) {
    if (cause instanceof PortError) throw cause;
    throw signal.aborted ? closedError() : unreachable(String(cause));
  } finally {
    clearTimeout(idle);
    forget();
    response.destroy();
  }
}

/** Up to a gap in the history, or until nobody listens any more. */
function tellEach(lines: readonly string[], change: WatchOptions["change"], signal: AbortSignal): "gap" | "told" {
  for (const line of lines) {
    if (signal.aborted) break;
    const seen = parseEvent(line);
    if (seen === "gap") return seen;
    change(seen);
  }
  return "told";
}

/** Those that came together, together, which saves a turn of promises for each line. */
async function* linesOf(response: IncomingMessage): AsyncGenerator<readonly string[]> {
  let rest = "";
  response.setEncoding("utf8");
  for await (const part of response as AsyncIterable<string>) {
    const lines = (rest + part).split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > limits.kubernetesLineBytesMax) throw unreachable("a watch event is too large");
    yield lines;
  }
}

function parseEvent(line: string): ObjectChange | "gap" {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    throw unreachable("a watch event is not JSON");
  }
  const { type, object } = eventSchema.parse(parsed);
  if (type === "ERROR") return errorOf(object);
  if (type === "BOOKMARK") return { kind: "bookmark", object: bookmarkOf(object) };
  return { kind: type === "DELETED" ? "removed" : "put", object: kubeObjectOf(object) };
}

function errorOf(object: unknown): "gap" {
  const { code } = statusSchema.catch({}).parse(object);
  if (code === 410) return "gap";
  throw failureOf(code ?? 500, object);
}

/** A bookmark has a version and nothing else. */
function bookmarkOf(object: unknown): KubeObject {
  const { resourceVersion } = bookmarkSchema.parse(object).metadata;
  return kubeObjectOf({ metadata: { name: "", resourceVersion } });
}
