/** Probes and answers over loopback, without XFRM below them: that part is `test/kernel/cases/path-proof.ts`. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { limits } from "../../../core/limits.js";
import type { Probe, ProbeOutcome } from "../../../core/probe.js";
import { answerTo, makeProbe } from "./frame.js";
import { sendProbe } from "./prober.js";
import { makeBudget, startResponder } from "./responder.js";

const address = "127.0.0.1";
const end = { address, udpPort: null };
const probe = { peer: "b", family: "ipv4", local: end, remote: end } as unknown as Probe;
const unheard = { write: () => undefined };

async function bound(port = 0): Promise<Socket> {
  const socket = createSocket("udp4").bind(port, address);
  await once(socket, "listening");
  return socket;
}

async function freePort(): Promise<number> {
  const socket = await bound();
  const { port } = socket.address();
  socket.close();
  return port;
}

function send(port: number, signal = new AbortController().signal): Promise<ProbeOutcome> {
  return sendProbe(probe, port, signal);
}

test("probe: a responder answers it", async () => {
  const port = await freePort();
  const responder = startResponder({ addresses: { ipv4: address, ipv6: null, udpPort: null }, port, log: unheard });
  const outcome = await send(port);
  responder.close();
  assert.ok(outcome.kind === "answered" && outcome.roundTripMs < limits.probeMsMax);
});

test("probe: a port that is refused proves the path too", async () => {
  assert.equal((await send(await freePort())).kind, "answered");
});

test("probe: an answer to another probe, and silence, are none", async () => {
  const other = await bound();
  const abort = new AbortController();
  other.on("message", (_message, { port, address: to }) => {
    other.send(answerTo(makeProbe()) ?? "", port, to, () => abort.abort());
  });
  const outcome = await send(other.address().port, abort.signal);
  other.close();
  assert.equal(outcome.kind === "failed" && outcome.code, "PROBE_UNANSWERED");
});

test("probe: from an address that is not here it is not sent", async () => {
  const local = { address: "192.0.2.77", udpPort: null };
  const outcome = await sendProbe({ ...probe, local }, await freePort(), new AbortController().signal);
  assert.equal(outcome.kind === "failed" && outcome.code, "PROBE_NOT_SENT");
});

test("responder: a taken port is told once and does not end the agent", async () => {
  const taken = await bound();
  const said: unknown[] = [];
  const { port } = taken.address();
  const log = { write: (level: string, message: string, fields: object) => void said.push({ level, message, ...fields }) };
  const responder = startResponder({ addresses: { ipv4: address, ipv6: null, udpPort: null }, port, log });
  responder.close();
  taken.close();
  assert.equal(said.length, 1);
  const { level, code } = said[0] as { readonly level: string; readonly code: string };
  assert.deepEqual([level, code], ["warn", "EADDRINUSE"]);
});

test("responder: answers no more packets a second than its limit", () => {
  let nowMs = 0;
  const budget = makeBudget(() => nowMs);
  const granted = (): number => Array.from({ length: 2 * limits.probeAnswersPerSecond }, budget).filter(Boolean).length;
  assert.equal(granted(), limits.probeAnswersPerSecond);
  nowMs += 100;
  assert.equal(granted(), limits.probeAnswersPerSecond / 10);
});
