/** When the notification socket tells of a loss, and that it goes on afterwards. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { kernelBytes } from "../../../../test/support/netlink/kernel-bytes.js";
import type { Notification } from "../codec/model.js";
import { readNotification } from "../codec/notification.js";
import type { Received } from "./descriptor.js";
import type { Libc } from "./libc.js";
import { NotificationSocket } from "./notification-socket.js";
import { nextTurn } from "./turns.js";

const added: Received = { kind: "bytes", content: Buffer.from(kernelBytes.saAdded, "hex") };
const overrun: Received = { kind: "overrun" };

interface Scene {
  readonly heard: string[];
  readonly queue: Received[];
  readonly polls: { opened: number; closed: number };
  readonly socket: NotificationSocket<Notification>;
  /** As the event loop does when the descriptor is ready. */
  ready(): void;
}

/** @param msPerLook how much later it is each time the socket looks at the clock */
function scene(msPerLook = 0): Scene {
  const heard: string[] = [];
  const queue: Received[] = [];
  const polls = { opened: 0, closed: 0 };
  let nowMs = 0;
  let ready: () => void = () => assert.fail("not polled");
  const poll = ((_fd: number, _events: object, callback: () => void) => {
    polls.opened += 1;
    ready = callback;
    return { close: () => (polls.closed += 1) };
  }) as unknown as Libc["poll"];
  const descriptor = {
    fd: 3,
    receive: (): Received => queue.shift() ?? { kind: "nothing" },
    wipeReceived: () => undefined,
    close: () => undefined,
  };
  const socket = new NotificationSocket(descriptor, poll, readNotification, (one) => heard.push(one.kind), () => {
    nowMs += msPerLook;
    return nowMs;
  });
  return { heard, queue, polls, socket, ready: () => ready() };
}

test("notification socket: a loss is told only when the queue is empty, once", () => {
  const { heard, queue, ready } = scene();
  queue.push(added, overrun, added, overrun, added);
  ready();
  assert.deepEqual(heard, ["sa-added", "sa-added", "sa-added", "lost"]);
  ready();
  assert.equal(heard.length, 4);
});

test("notification socket: an overrun restarts the poll, and what comes later is heard", () => {
  const { heard, queue, polls, ready } = scene();
  queue.push(overrun);
  ready();
  assert.deepEqual(polls, { opened: 2, closed: 1 });
  queue.push(added);
  ready();
  assert.deepEqual(heard, ["lost", "sa-added"]);
});

test("notification socket: with no time left an overrun is seen, and the loss told without a further event", async () => {
  const { heard, queue, polls, ready } = scene(1_000);
  queue.push(overrun, added);
  ready();
  assert.deepEqual([heard, polls.opened], [[], 2]);
  for (let turn = 0; turn < 3; turn += 1) await nextTurn();
  assert.deepEqual(heard, ["sa-added", "lost"]);
});

test("notification socket: a message that did not fit is a loss", () => {
  const { heard, queue, polls, ready } = scene();
  queue.push({ kind: "cut" });
  ready();
  assert.deepEqual([heard, polls.opened], [["lost"], 1]);
});

test("notification socket: closing it twice closes the poll once", () => {
  const { heard, queue, socket, polls, ready } = scene();
  queue.push(added);
  ready();
  socket.close();
  socket.close();
  assert.deepEqual([heard, polls], [["sa-added"], { opened: 1, closed: 1 }]);
});
