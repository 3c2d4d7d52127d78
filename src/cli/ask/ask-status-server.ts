/** One question to the status server of the agent of this host. */
import { request, type IncomingMessage } from "node:http";
import type { ServiceAddress } from "../../ports/service-address.js";

export interface Question {
  readonly path: string;
  /** Posted, as JSON; nothing for a plain question. */
  readonly content?: unknown;
}

export interface StatusAnswer<Body> {
  readonly status: number;
  /** Empty for what is no JSON. */
  readonly body: Body | Record<never, never>;
}

/** @throws Error of the system when nobody answers */
export function askStatusServer<Body>(at: ServiceAddress, question: Question, signal: AbortSignal): Promise<StatusAnswer<Body>> {
  const place = at.kind === "unix" ? { socketPath: at.path } : { host: at.host, port: at.port };
  const content = question.content === undefined ? null : JSON.stringify(question.content);
  const headers = content === null ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(content) };
  const method = content === null ? "GET" : "POST";
  return new Promise((resolve, reject) => {
    const asked = request({ ...place, path: question.path, method, headers, signal }, (response) => {
      readAll<Body>(response).then(resolve, reject);
    });
    asked.once("error", reject).end(content);
  });
}

async function readAll<Body>(response: IncomingMessage): Promise<StatusAnswer<Body>> {
  const parts: Buffer[] = [];
  for await (const part of response) parts.push(part as Buffer);
  const text = Buffer.concat(parts).toString();
  const isJson = response.headers["content-type"]?.startsWith("application/json") === true;
  return { status: response.statusCode ?? 0, body: isJson ? (JSON.parse(text) as Body) : {} };
}
