/** Whatever bytes come for an answer, a request ends, with a result or a coded error, and the next one works. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { xfrmSa } from "../../../../test/support/netlink/arbitraries.js";
import { kernelBytes } from "../../../../test/support/netlink/kernel-bytes.js";
import { done, entry, piece, scriptedDescriptor, type Kernel } from "../../../../test/support/netlink/scripted-descriptor.js";
import { PortError } from "../../port-error.js";
import { headerBytes } from "../codec/constants.js";
import { appendDumpSas, appendDeleteSa, appendGetSa, readSa } from "../codec/sa.js";
import type { Notification } from "../codec/model.js";
import { readNotification } from "../codec/notification.js";
import { NotificationSocket } from "./notification-socket.js";
import type { Received } from "./descriptor.js";
import type { Libc } from "./libc.js";
import { RequestSocket } from "./request-socket.js";

const fault = fc.record({ at: fc.nat(), byte: fc.oneof(fc.constantFrom(0, 1, 0x80, 0xff), fc.nat(255)) });
const faults = fc.array(fault, { minLength: 1, maxLength: 4 });

function spoil(received: Received, wrong: readonly { readonly at: number; readonly byte: number }[], cut: number): Received {
  if (received.kind !== "bytes") return received;
  const content = Uint8Array.from(received.content);
  for (const { at, byte } of wrong) content[at % content.length] = byte;
  return { kind: "bytes", content: content.subarray(0, content.length - (cut % content.length)) };
}

/** Acknowledges, refuses and lists, in two pieces. */
const answers: Kernel = (messages) => {
  const [first, last] = [messages[0]!.sequence, messages.at(-1)!.sequence];
  return [piece({ sequence: first, word: -17 }, entry(first, 7)), piece({ sequence: last }, done(last))];
};

const request = fc.constantFrom<(socket: RequestSocket, sas: Parameters<typeof appendGetSa>[1][]) => Promise<unknown>>(
  (socket, sas) => socket.send(sas, appendDeleteSa),
  (socket, sas) => socket.getMany(sas, appendGetSa, readSa),
  (socket) => socket.dump(appendDumpSas, readSa, () => undefined),
);

test("request socket: an answer with wrong bytes is a result or a coded error, and the next request works", async () => {
  const sas = fc.array(xfrmSa, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(request, sas, faults, fc.oneof(fc.constant(0), fc.nat()), async (run, items, wrong, cut) => {
      let isGarbled = true;
      const kernel: Kernel = (messages) =>
        isGarbled ? answers(messages).map((one) => spoil(one, wrong, cut)) : [piece({ sequence: messages.at(-1)!.sequence })];
      const socket = new RequestSocket(scriptedDescriptor(kernel));
      await run(socket, items).catch((cause: unknown) => assert.ok(cause instanceof PortError, String(cause)));
      isGarbled = false;
      assert.deepEqual(await socket.send(items, appendDeleteSa), []);
    }),
    { numRuns: 500 },
  );
});

/** @returns what is heard of one receive call with these bytes */
function hear(content: Uint8Array): readonly (Notification["kind"] | "lost")[] {
  const queue: Received[] = [{ kind: "bytes", content }];
  const heard: (Notification["kind"] | "lost")[] = [];
  let ready = (): void => undefined;
  const poll = ((_fd: number, _events: object, callback: () => void) => {
    ready = callback;
    return { close: () => undefined };
  }) as unknown as Libc["poll"];
  const descriptor = {
    fd: 3,
    receive: (): Received => queue.shift() ?? { kind: "nothing" },
    wipeReceived: () => undefined,
    close: () => undefined,
  };
  const socket = new NotificationSocket(descriptor, poll, readNotification, ({ kind }) => heard.push(kind), () => 0);
  ready();
  socket.close();
  return heard;
}

const told = Buffer.concat([Buffer.from(kernelBytes.saAdded, "hex"), Buffer.from(kernelBytes.policyAdded, "hex")]);

test("notification socket: bytes that end inside a message are a loss", () => {
  const boundary = kernelBytes.saAdded.length / 2;
  for (let end = 1; end <= told.length; end += 1) {
    const isWhole = end === boundary || end === told.length;
    assert.equal(hear(told.subarray(0, end)).includes("lost"), !isWhole, String(end));
  }
});

test("notification socket: wrong bytes are heard without failing", () => {
  fc.assert(
    fc.property(faults, fc.nat(), (wrong, cut) => {
      const spoilt = spoil({ kind: "bytes", content: told }, wrong, cut);
      assert.ok(spoilt.kind === "bytes" && hear(spoilt.content).length <= spoilt.content.length / headerBytes + 1);
    }),
    { numRuns: 500 },
  );
});
