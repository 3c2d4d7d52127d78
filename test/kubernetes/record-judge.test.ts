/** Conditions that an API server does not take: the judge of records goes on with the next one. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { judgeRecords } from "../../src/adapters/registry/kubernetes/record-judge.js";
import { answer, listOf, ScriptedApiServer, status, watchAnswer, type Answer } from "../support/scripted-api-server.js";

function unreadable(name: string, version: number): unknown {
  return { metadata: { name, resourceVersion: String(version), generation: 1 }, status: { node: name, schemaVersion: 99 } };
}

/** One report that cannot be read is listed, two more come while it is watched; conditions of the first two are refused. */
const script: Answer = (response, request) => {
  const { pathname, searchParams } = new URL(request.url ?? "", "http://server");
  const isOfReports = pathname.endsWith("/spindlereports");
  const say = (line: Answer): void => line(response, request);
  if (request.method === "PATCH") return say(pathname.includes("/c/") ? answer(200, unreadable("c", 9)) : answer(422, status(422, "no")));
  if (!searchParams.has("watch")) return say(answer(200, listOf(5, isOfReports ? [unreadable("a", 5)] : [])));
  const events = [unreadable("b", 6), unreadable("c", 7)].map((object) => ({ type: "MODIFIED", object }));
  say(watchAnswer(isOfReports ? events : [], "stays"));
};

test("record judge: a condition that is refused keeps no other from being written", { timeout: 20_000 }, async (context) => {
  const { server, client } = await ScriptedApiServer.start(context, [script]);
  const stopping = new AbortController();
  const told: unknown[] = [];
  const refusals = new Promise<void>((resolve) => {
    const write = (_level: string, message: string, fields: Readonly<Record<string, unknown>>): void => {
      if (message === "record not judged") told.push(fields["name"]);
      if (told.length === 2) resolve();
    };
    void judgeRecords(client, { write }, stopping.signal);
  });
  await refusals;
  assert.deepEqual(told, ["a", "b"]);
  while (!patched(server).includes("c")) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(patched(server), ["a", "b", "c"]);
  stopping.abort();
});

function patched(server: ScriptedApiServer): readonly string[] {
  const patches = server.asked.filter(({ method }) => method === "PATCH");
  return patches.map(({ url }) => url.pathname.split("/").at(-2) ?? "");
}
