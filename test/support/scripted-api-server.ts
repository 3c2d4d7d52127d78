/**
 * An API server that does what a test says, for what a real one does too rarely: each request is
 * answered by the next line of the script, and the last one goes on for ever.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { TestContext } from "node:test";
import { ApiClient } from "../../src/adapters/registry/kubernetes/api-client.js";

export interface AskedRequest {
  readonly method: string;
  readonly url: URL;
  readonly token: string | undefined;
  readonly atMs: number;
}

export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export class ScriptedApiServer {
  readonly asked: AskedRequest[] = [];
  readonly #script: readonly Answer[];
  readonly #server: Server;

  private constructor(script: readonly Answer[]) {
    this.#script = script;
    this.#server = createServer((request, response) => this.#answer(request, response));
  }

  static async start(
    context: TestContext,
    script: readonly Answer[],
    tokens: readonly string[] = ["token"],
  ): Promise<{ readonly server: ScriptedApiServer; readonly client: ApiClient }> {
    const server = new ScriptedApiServer(script);
    server.#server.listen(0, "127.0.0.1");
    await once(server.#server, "listening");
    const address = server.#server.address();
    assert.ok(address !== null && typeof address === "object");
    const client = new ApiClient({
      url: new URL(`http://127.0.0.1:${address.port}`),
      namespace: "fleet",
      ca: undefined,
      certificates: null,
      tokens: tokenList(tokens),
    });
    context.after(() => {
      client.close();
      server.#server.close();
      server.#server.closeAllConnections();
    });
    return { server, client };
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const line = this.#script[Math.min(this.asked.length, this.#script.length - 1)];
    this.asked.push({
      method: request.method ?? "",
      url: new URL(request.url ?? "", "http://server"),
      token: request.headers.authorization?.replace("Bearer ", ""),
      atMs: performance.now(),
    });
    request.resume();
    request.on("end", () => line?.(response, request));
  }
}

/** Each token holds until the client is told that it does not. */
function tokenList(tokens: readonly string[]): { token: () => string; renew: () => void } {
  let place = 0;
  return {
    token: () => tokens[Math.min(place, tokens.length - 1)] ?? "",
    renew: () => {
      place += 1;
    },
  };
}

export function answer(
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Answer {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(JSON.stringify(body));
  };
}

/** A watch that sends these events and then ends, or stays open and silent. */
export function watchAnswer(events: readonly unknown[], end: "ends" | "stays" | "breaks"): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "application/json" });
    response.write(events.map((event) => `${JSON.stringify(event)}\n`).join(""));
    if (end === "ends") response.end();
    // What was written must be on its way first.
    if (end === "breaks") setImmediate(() => response.destroy());
  };
}

export function listOf(version: number, items: readonly unknown[], next = ""): unknown {
  return { metadata: { resourceVersion: String(version), continue: next }, items };
}

export function status(code: number, message = ""): unknown {
  return { kind: "Status", code, message };
}
