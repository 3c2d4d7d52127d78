/** What the request socket makes of answers that are late, foreign, lost, cut or in pieces. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  done,
  entry,
  piece,
  scriptedDescriptor,
  type Kernel,
} from "../../../../test/support/netlink/scripted-descriptor.js";
import { limits } from "../../../core/limits.js";
import { PortError } from "../../port-error.js";
import type { MessageBatch } from "../codec/batch.js";
import { netlinkFlag, xfrmMessage } from "../codec/constants.js";
import { viewOf } from "../codec/received.js";
import { RequestSocket } from "./request-socket.js";

const append = (batch: MessageBatch): void => {
  batch.beginMessage(xfrmMessage.deleteSa, netlinkFlag.request);
  batch.endMessage();
};

const acknowledgeLast: Kernel = (messages) => [piece({ sequence: messages.at(-1)!.sequence })];

function withCode(code: string): (error: unknown) => boolean {
  return (error) => error instanceof PortError && error.code === code;
}

async function words(socket: RequestSocket): Promise<number[]> {
  const read: number[] = [];
  const visit = (payload: Uint8Array): number => read.push(viewOf(payload).getInt32(0, true));
  await socket.dump(append, visit, () => (read.length = 0));
  return read;
}

test("request socket: many messages go in batches, and only the last of each is acknowledged", async () => {
  const asked: number[] = [];
  const descriptor = scriptedDescriptor((messages) => {
    messages.forEach(({ flags }, index) => (flags & netlinkFlag.acknowledge) !== 0 && asked.push(index));
    return acknowledgeLast(messages);
  });
  const count = 2 * limits.netlinkBatchMessagesMax + 1;
  assert.deepEqual(await new RequestSocket(descriptor).send(Array(count).fill(0), append), []);
  assert.deepEqual(descriptor.sends, [limits.netlinkBatchMessagesMax, limits.netlinkBatchMessagesMax, 1]);
  assert.deepEqual(asked, [limits.netlinkBatchMessagesMax - 1, limits.netlinkBatchMessagesMax - 1, 0]);
});

test("request socket: the event loop gets its turn between two batches", async () => {
  const order: string[] = [];
  const descriptor = scriptedDescriptor((messages) => {
    order.push("batch");
    return acknowledgeLast(messages);
  });
  const sending = new RequestSocket(descriptor).send(Array(limits.netlinkBatchMessagesMax + 1).fill(0), append);
  setImmediate(() => order.push("other work"));
  await sending;
  assert.deepEqual(order, ["batch", "other work", "batch"]);
});

test("request socket: refusals come in several pieces and are told by their place among all", async () => {
  const descriptor = scriptedDescriptor((messages) => {
    const at = (index: number, word: number) => ({ sequence: messages[index]!.sequence, word });
    if (messages.length === 1) return [piece(at(0, -3))];
    const last = messages.length - 1;
    return [piece(at(1, -17)), piece(at(5, -22), at(last, 0))];
  });
  const count = limits.netlinkBatchMessagesMax + 1;
  const refused = await new RequestSocket(descriptor).send(Array(count).fill(0), append);
  assert.deepEqual(
    refused.map(({ index, error }) => [index, error.errno]),
    [[1, 17], [5, 22], [limits.netlinkBatchMessagesMax, 3]],
  );
});

test("request socket: answers to earlier requests and to others are dropped", async () => {
  const descriptor = scriptedDescriptor((messages) => {
    const { sequence } = messages[0]!;
    const late = { sequence: (sequence - 1) >>> 0, word: -1 };
    return [piece(late, { sequence, portId: 1, word: -1 }), piece({ sequence, word: -17 })];
  });
  const refused = await new RequestSocket(descriptor).send([0], append);
  assert.deepEqual(refused.map(({ error }) => error.errno), [17]);
});

for (const [what, answer] of [
  ["does not come", []],
  ["did not fit the buffer", [{ kind: "overrun" }]],
  ["was cut", [{ kind: "cut" }]],
  ["is malformed", [{ kind: "bytes", content: new Uint8Array(18).fill(1) }]],
] as const) {
  test(`request socket: an acknowledgement that ${what} makes the outcome unknown, and the next request works`, async () => {
    let isFirst = true;
    const descriptor = scriptedDescriptor((messages) => {
      if (!isFirst) return acknowledgeLast(messages);
      isFirst = false;
      return answer;
    });
    const socket = new RequestSocket(descriptor);
    await assert.rejects(socket.send([0], append), withCode("NETLINK_ANSWER_LOST"));
    assert.deepEqual(await socket.send([0], append), []);
  });
}

test("request socket: a send that fails for want of memory is repeated, and not for ever", async () => {
  const descriptor = scriptedDescriptor(acknowledgeLast);
  const socket = new RequestSocket(descriptor);
  descriptor.sendErrors.push(105, 12, 11);
  assert.deepEqual(await socket.send([0], append), []);
  descriptor.sendErrors.push(...Array<number>(limits.netlinkSendAttemptsMax).fill(105));
  await assert.rejects(socket.send([0], append), withCode("ENOBUFS"));
  descriptor.sendErrors.push(1);
  await assert.rejects(socket.send([0], append), withCode("EPERM"));
});

test("request socket: a dump comes in pieces, in order", async () => {
  const descriptor = scriptedDescriptor(([{ sequence } = assert.fail()]) => [
    piece(entry(sequence, 1), entry(sequence - 1, 99), entry(sequence, 2)),
    piece(entry(sequence, 3)),
    piece(done(sequence)),
  ]);
  assert.deepEqual(await words(new RequestSocket(descriptor)), [1, 2, 3]);
});

test("request socket: an interrupted or cut dump is read again from the beginning", async () => {
  const { dumpInterrupted } = netlinkFlag;
  let attempt = 0;
  const descriptor = scriptedDescriptor(([{ sequence } = assert.fail()]) => {
    attempt += 1;
    if (attempt === 1) return [piece(entry(sequence, 1)), piece(entry(sequence, 2, dumpInterrupted)), piece(done(sequence))];
    if (attempt === 2) return [piece(entry(sequence, 3)), { kind: "cut" }, piece(done(sequence))];
    return [piece(entry(sequence, 4), done(sequence))];
  });
  assert.deepEqual(await words(new RequestSocket(descriptor)), [4]);
});

test("request socket: a table that never rests is given up", async () => {
  const descriptor = scriptedDescriptor(([{ sequence } = assert.fail()]) => [
    piece(entry(sequence, 1, netlinkFlag.dumpInterrupted), done(sequence)),
  ]);
  await assert.rejects(words(new RequestSocket(descriptor)), withCode("NETLINK_DUMP_UNSTABLE"));
  assert.equal(descriptor.sends.length, limits.netlinkDumpAttemptsMax);
});

test("request socket: what a failed dump left unread does not disturb the next", async () => {
  let attempt = 0;
  const descriptor = scriptedDescriptor(([{ sequence } = assert.fail()]) => {
    attempt += 1;
    const rest = [piece(entry(sequence, attempt)), piece(done(sequence))];
    return attempt === 1 ? [{ kind: "overrun" }, ...rest] : rest;
  });
  const socket = new RequestSocket(descriptor);
  await assert.rejects(words(socket), withCode("NETLINK_ANSWER_LOST"));
  assert.deepEqual(await words(socket), [2]);
});

test("request socket: requests made at the same time run one after the other", async () => {
  const descriptor = scriptedDescriptor((messages) => {
    const { sequence } = messages[0]!;
    return messages.length === 1
      ? [piece(entry(sequence, 7)), piece(done(sequence))]
      : acknowledgeLast(messages);
  });
  const socket = new RequestSocket(descriptor);
  const outcomes = await Promise.all([words(socket), socket.send([0, 0], append), words(socket)]);
  assert.deepEqual(outcomes, [[7], [], [7]]);
  assert.ok(descriptor.wipes.count >= 3, "the receive buffer is wiped after each");
});

test("request socket: after it is closed requests fail", async () => {
  const socket = new RequestSocket(scriptedDescriptor(acknowledgeLast));
  socket.close();
  await assert.rejects(socket.send([0], append), withCode("NETLINK_CLOSED"));
});
