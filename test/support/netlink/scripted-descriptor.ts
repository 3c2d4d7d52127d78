/** A descriptor whose kernel is a script: it answers what a test wants, in the pieces it wants. */
import { netlinkType, xfrmMessage } from "../../../src/adapters/netlink/codec/constants.js";
import { MessageBatch } from "../../../src/adapters/netlink/codec/batch.js";
import { eachMessage, type ReceivedMessage } from "../../../src/adapters/netlink/codec/received.js";
import type { Received } from "../../../src/adapters/netlink/socket/descriptor.js";
import type { RequestDescriptor } from "../../../src/adapters/netlink/socket/request-socket.js";

export const ownPortId = 4_711;

/** What the kernel puts into the socket for one send; each entry is one receive call. */
export type Kernel = (messages: readonly ReceivedMessage[]) => readonly Received[];

export interface ScriptedDescriptor extends RequestDescriptor {
  /** Messages per send. */
  readonly sends: number[];
  /** Errors that the next sends fail with. */
  readonly sendErrors: number[];
  readonly wipes: { count: number };
}

export function scriptedDescriptor(kernel: Kernel): ScriptedDescriptor {
  const queue: Received[] = [];
  const sends: number[] = [];
  const sendErrors: number[] = [];
  const wipes = { count: 0 };
  let isOpen = true;
  return {
    sends,
    sendErrors,
    wipes,
    get isOpen() {
      return isOpen;
    },
    portId: () => ownPortId,
    send(content) {
      const number = sendErrors.shift();
      if (number !== undefined) return number;
      const messages: ReceivedMessage[] = [];
      eachMessage(content.slice(), (message) => messages.push(message));
      sends.push(messages.length);
      queue.push(...kernel(messages));
      return 0;
    },
    receive: () => queue.shift() ?? { kind: "nothing" },
    wipeReceived: () => (wipes.count += 1),
    close: () => (isOpen = false),
  };
}

export interface Reply {
  readonly type?: number;
  readonly flags?: number;
  readonly sequence: number;
  readonly portId?: number;
  /** First word of the payload: the status of an error, or the mark of a dumped entry. */
  readonly word?: number;
}

/** One receive call with these messages. */
export function piece(...replies: readonly Reply[]): Received {
  const batch = new MessageBatch();
  for (const { type = netlinkType.error, flags = 0, sequence, portId = ownPortId, word = 0 } of replies) {
    const start = batch.content().length;
    batch.beginMessage(type, flags);
    batch.view.setInt32(batch.reserve(4), word, true);
    batch.endMessage();
    batch.view.setUint32(start + 8, sequence, true);
    batch.view.setUint32(start + 12, portId, true);
  }
  return { kind: "bytes", content: batch.content().slice() };
}

export const entry = (sequence: number, word: number, flags = 0): Reply => ({
  type: xfrmMessage.newSa,
  sequence,
  word,
  flags,
});

export const done = (sequence: number): Reply => ({ type: netlinkType.done, sequence });
