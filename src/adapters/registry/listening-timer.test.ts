import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, connect } from "node:net";
import { test } from "node:test";
import { afterListening } from "./listening-timer.js";

const ms = 50;

/** As a step over a large fleet, or a collection of garbage. */
function beBusy(forMs: number): void {
  const untilMs = performance.now() + forMs;
  while (performance.now() < untilMs);
}

test("listening timer: an answer that came while the program was busy comes before the time-out", async (context) => {
  const server = createServer((socket) => socket.on("data", () => socket.end("answer")));
  context.after(() => server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const outcome = new Promise<string>((resolve) => {
    const stop = afterListening(ms, () => resolve("no answer in time"));
    const socket = connect(address.port, "127.0.0.1", () => {
      socket.write("question");
      beBusy(2 * ms);
    });
    socket.on("data", (part) => {
      stop();
      resolve(part.toString());
    });
    beBusy(2 * ms);
  });
  assert.equal(await outcome, "answer");
});

test("listening timer: who hears nothing is told after the time, once", async () => {
  const startedMs = performance.now();
  let calls = 0;
  await new Promise<void>((resolve) => {
    afterListening(ms, () => {
      calls += 1;
      resolve();
    });
  });
  assert.ok(performance.now() - startedMs >= ms - 1, "not before");
  await new Promise<void>((resolve) => {
    afterListening(2 * ms, resolve);
  });
  assert.equal(calls, 1);
});

test("listening timer: a stopped one does not call", async () => {
  let isCalled = false;
  const stop = afterListening(ms, () => {
    isCalled = true;
  });
  stop();
  await new Promise<void>((resolve) => {
    afterListening(2 * ms, resolve);
  });
  assert.ok(!isCalled);
});
