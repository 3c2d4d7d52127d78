/**
 * Measures inside a kernel with ESP and prints one line of JSON. `node guest.js FLOOR GO`: the compiled
 * floor.c and one-per-call.go, or "-" where there was no compiler or library.
 */
import { execFileSync } from "node:child_process";
import { timingSafeEqual } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { MessageBatch } from "../../src/adapters/netlink/codec/batch.js";
import { appendDumpSas, readSa } from "../../src/adapters/netlink/codec/sa.js";
import {
  openRequestSocket,
  type RequestSocket,
} from "../../src/adapters/netlink/socket/request-socket.js";
import { limits } from "../../src/core/limits.js";
import { appendItem, makeItems, reportedSas, type Item } from "./workload.js";

export interface Figures {
  readonly kernel: string;
  /** The first SA since boot: the kernel makes its cipher. */
  readonly firstSaMs: number;
  /** The first installation in the process. */
  readonly coldMs: number;
  /** Best of the rounds, which take turns. */
  readonly floorMs: number | null;
  readonly prebuiltMs: number;
  readonly encodedMs: number;
  readonly ipBatchMs: number;
  /** Go's vishvananda/netlink: a socket for each call, or one for all. */
  readonly goMs: { readonly package: number; readonly handle: number } | null;
  readonly readBackMs: number;
  readonly growth: readonly { readonly peers: number; readonly usPerSa: number }[];
  readonly longestBlockMs: { readonly sending: number; readonly dumping: number };
}

const rounds = 5;
const goRounds = 2;
const settleMs = 500;
const folder = process.env["HOME"] ?? "/run";

/** Only the last asks for an acknowledgement, as in a batch. */
function prebuild(items: readonly Item[]): Uint8Array {
  const batch = new MessageBatch();
  for (const item of items) appendItem(batch, item);
  batch.number(1, 0, 0);
  return batch.content().slice();
}

/** Empties the kernel's table and lets its worker free what was in it, which else runs into the next measurement. */
async function flush(): Promise<void> {
  execFileSync("ip", ["xfrm", "state", "flush"]);
  await pause(settleMs);
}

async function timed(run: () => unknown): Promise<number> {
  const startMs = performance.now();
  await run();
  return performance.now() - startMs;
}

async function install(socket: RequestSocket, items: readonly Item[]): Promise<void> {
  const refused = await socket.send(items, appendItem);
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused[0])}`);
}

/** Copies each message instead of encoding it: what the socket alone costs. */
async function installPrebuilt(socket: RequestSocket, messages: readonly Uint8Array[]): Promise<void> {
  const refused = await socket.send(messages, (batch, message) => void batch.append(message));
  if (refused.length > 0) throw new Error(`refused: ${JSON.stringify(refused[0])}`);
}

/** Reads every SA and compares its key with the one that it should have. */
async function readBack(socket: RequestSocket, items: readonly Item[]): Promise<void> {
  const keys = new Map(items.map(({ sa, key }) => [sa.spi, key]));
  let equal = 0;
  const visit = (payload: Uint8Array): void => {
    const sa = readSa(payload);
    const key = keys.get(sa?.spi ?? 0);
    if (sa?.aead && key !== undefined && timingSafeEqual(sa.aead.key, key)) equal += 1;
  };
  await socket.dump(appendDumpSas, visit, () => (equal = 0));
  if (equal !== items.length) throw new Error(`${equal} of ${items.length} SAs are as installed`);
}

function runFloor(floor: string, path: string): number {
  const batch = String(limits.netlinkBatchMessagesMax);
  return Number(execFileSync(floor, [path, batch], { encoding: "utf8" }));
}

async function ipBatch(items: readonly Item[]): Promise<number> {
  const lines = items.map(
    ({ sa, key }) =>
      `xfrm state add src ${sa.source} dst ${sa.destination} proto esp spi ${sa.spi} ` +
      `reqid ${sa.reqid} mode transport replay-window ${sa.replayWindow} flag esn ` +
      `aead rfc4106(gcm(aes)) 0x${Buffer.from(key).toString("hex")} 128`,
  );
  const input = lines.join("\n");
  return timed(() => execFileSync("ip", ["-batch", "-"], { input }));
}

/** Longest time that a timer of the event loop had to wait while `run` went on. */
async function longestBlock(run: () => Promise<unknown>): Promise<number> {
  let longestMs = 0;
  let lastMs = performance.now();
  let isOver = false;
  const look = (): void => {
    const nowMs = performance.now();
    longestMs = Math.max(longestMs, nowMs - lastMs);
    lastMs = nowMs;
    if (!isOver) setImmediate(look);
  };
  setImmediate(look);
  await run();
  isOver = true;
  look();
  return longestMs;
}

/** In its own process, which has read and decoded the SAs before it looks at the clock. */
async function runGo(program: string, items: readonly Item[], how: "package" | "handle"): Promise<number> {
  const lines = items.map(({ sa, key }) =>
    [sa.source, sa.destination, sa.spi, sa.reqid, sa.replayWindow, Buffer.from(key).toString("hex")].join(" "),
  );
  const path = join(folder, "sas");
  writeFileSync(path, lines.join("\n"));
  let bestMs = Infinity;
  for (let round = 0; round < goRounds; round += 1) {
    await flush();
    bestMs = Math.min(bestMs, Number(execFileSync(program, [path, how], { encoding: "utf8" })));
  }
  return bestMs;
}

async function measure(floor: string, go: string): Promise<Figures> {
  const items = makeItems(reportedSas);
  const socket = await openRequestSocket();
  await flush();
  const firstSaMs = await timed(() => install(socket, items.slice(0, 1)));
  await flush();
  const coldMs = await timed(() => install(socket, items));
  const bytes = prebuild(items);
  const path = join(folder, "messages");
  writeFileSync(path, bytes);
  const messages = cut(bytes, items.length);
  const best = { floor: Infinity, prebuilt: Infinity, encoded: Infinity, readBack: Infinity };
  for (let round = 0; round < rounds; round += 1) {
    await flush();
    if (floor !== "-") best.floor = Math.min(best.floor, runFloor(floor, path));
    await flush();
    best.prebuilt = Math.min(best.prebuilt, await timed(() => installPrebuilt(socket, messages)));
    await flush();
    best.encoded = Math.min(best.encoded, await timed(() => install(socket, items)));
    best.readBack = Math.min(best.readBack, await timed(() => readBack(socket, items)));
  }
  await flush();
  const ipBatchMs = await ipBatch(items);
  const goMs =
    go === "-"
      ? null
      : { package: await runGo(go, items, "package"), handle: await runGo(go, items, "handle") };
  const growth = [];
  for (const peers of [500, 1_000, 2_000, 5_000, 10_000]) growth.push(await grow(socket, peers));
  return {
    kernel: execFileSync("uname", ["-r"], { encoding: "utf8" }).trim(),
    firstSaMs,
    coldMs,
    floorMs: floor === "-" ? null : best.floor,
    prebuiltMs: best.prebuilt,
    encodedMs: best.encoded,
    ipBatchMs,
    goMs,
    readBackMs: best.readBack,
    growth,
    longestBlockMs: await blocks(socket),
  };
}

/** All messages have the same length. */
function cut(bytes: Uint8Array, count: number): readonly Uint8Array[] {
  const length = bytes.length / count;
  return Array.from({ length: count }, (_, index) => bytes.subarray(index * length, (index + 1) * length));
}

async function grow(socket: RequestSocket, peers: number): Promise<Figures["growth"][number]> {
  const items = makeItems(2 * peers);
  let bestMs = Infinity;
  for (let round = 0; round < rounds; round += 1) {
    await flush();
    bestMs = Math.min(bestMs, await timed(() => install(socket, items)));
  }
  return { peers, usPerSa: (bestMs * 1_000) / items.length };
}

/** With 5,000 peers. The best of the rounds: in the others another program of a busy machine had the processor. */
async function blocks(socket: RequestSocket): Promise<Figures["longestBlockMs"]> {
  const items = makeItems(10_000);
  let [sending, dumping] = [Infinity, Infinity];
  for (let round = 0; round < rounds; round += 1) {
    await flush();
    sending = Math.min(sending, await longestBlock(() => install(socket, items)));
    dumping = Math.min(dumping, await longestBlock(() => socket.dump(appendDumpSas, readSa, () => undefined)));
  }
  return { sending, dumping };
}

console.log(JSON.stringify(await measure(process.argv[2] ?? "-", process.argv[3] ?? "-")));
