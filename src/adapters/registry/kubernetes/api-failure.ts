/** What the API server's refusals mean to the registry, and how an answer is read. */
import type { IncomingMessage } from "node:http";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import { afterListening } from "../listening-timer.js";

/** The whole answer, which must come to its end in time. */
export async function readBody(response: IncomingMessage, closing: AbortSignal): Promise<unknown> {
  const text = await readText(response, closing);
  try {
    return text === "" ? null : JSON.parse(text);
  } catch {
    throw unreadable("the answer is not JSON");
  }
}

/** @throws PortError REGISTRY_UNREACHABLE, REGISTRY_CLOSED */
export async function readText(response: IncomingMessage, closing: AbortSignal): Promise<string> {
  const stopWaiting = afterListening(limits.registryListingMsMax, () => {
    response.destroy(new Error("the answer stopped half way"));
  });
  try {
    return await collect(response);
  } catch (cause) {
    if (closing.aborted) throw new PortError("REGISTRY_CLOSED", "the registry was closed", false);
    throw unreadable(textOf(cause));
  } finally {
    stopWaiting();
  }
}

async function collect(response: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > limits.kubernetesAnswerBytesMax) throw new Error("the answer is too large");
    parts.push(part);
  }
  return Buffer.concat(parts).toString("utf8");
}

function unreadable(reason: string): PortError {
  return new PortError("REGISTRY_UNREACHABLE", `the Kubernetes API server: ${reason}`, true);
}

/** For a status of 300 and above. @param more what this side knows about it */
export function failureOf(status: number, body: unknown, more = ""): PortError {
  const message = `the Kubernetes API server answered ${status}: ${statusMessage(body)}${more}`;
  const failure = (code: string, retryable: boolean): PortError =>
    new PortError(code, message, retryable);
  switch (status) {
    case 401:
    case 403:
      return failure("REGISTRY_FORBIDDEN", true); // Rights and tokens may come.
    case 400:
    case 415:
    case 422:
      return failure("REGISTRY_RECORD_INVALID", false);
    case 413:
      return failure("REGISTRY_RECORD_TOO_LARGE", false);
    default:
      return failure("REGISTRY_UNREACHABLE", true);
  }
}

/** `message` of a Kubernetes Status, cut to what a log line holds. */
export function statusMessage(body: unknown): string {
  if (typeof body !== "object" || body === null || !("message" in body)) return "no reason given";
  return String(body.message).slice(0, 500);
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
