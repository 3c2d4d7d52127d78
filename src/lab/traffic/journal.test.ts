import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import {
  JournalReader,
  type DroppedRecord,
  type JournalEvent,
  type ReceivedRecord,
  type SentRecord,
} from "./journal-format.js";
import { JournalWriter } from "./journal-writer.js";
import { readPayload, writePayload } from "./payload.js";

const plain = { noNullPrototype: true };
const word = fc.integer({ min: 0, max: 0xffff_ffff });
const port = fc.integer({ min: 0, max: 0xffff });
const time = fc.double({ min: 0, max: 1e12, noNaN: true });

const sentRecord: fc.Arbitrary<SentRecord> = fc.record(
  {
    receiver: port,
    sequence: word,
    blocked: fc.constantFrom(null, "XfrmOutPolBlock" as const, "XfrmOutNoStates" as const),
    spi: word,
    espSequence: word,
    sentMs: time,
  },
  plain,
);
const receivedRecord: fc.Arbitrary<ReceivedRecord> = fc.record(
  {
    instance: word,
    receiver: word,
    sequence: word,
  },
  plain,
);
const droppedRecord: fc.Arbitrary<DroppedRecord> = fc.record(
  {
    counter: fc.constantFrom("XfrmInNoStates" as const, "XfrmOutError" as const),
    remotePort: port,
    spi: word,
    espSequence: word,
    atMs: time,
  },
  plain,
);

interface Told {
  readonly sent: SentRecord[];
  readonly received: ReceivedRecord[];
  readonly dropped: DroppedRecord[];
  readonly events: JournalEvent[];
  readonly times: number[];
}

function listen(): { readonly reader: JournalReader; readonly told: Told } {
  const told: Told = { sent: [], received: [], dropped: [], events: [], times: [] };
  const reader = new JournalReader({
    sent: (record) => told.sent.push(record),
    received: (record) => told.received.push(record),
    dropped: (record) => told.dropped.push(record),
    event: (event) => told.events.push(event),
    toldUpTo: (atMs) => told.times.push(atMs),
  });
  return { reader, told };
}

function writeAll(fill: (journal: JournalWriter) => void): Buffer {
  const stream = new PassThrough({ highWaterMark: 64 * 1024 * 1024 });
  const journal = new JournalWriter(stream);
  fill(journal);
  journal.close();
  return (stream.read() as Buffer | null) ?? Buffer.alloc(0);
}

test("journal: what one process tells, another reads, however the stream is cut", () => {
  const journals = fc.record({
    sent: fc.array(sentRecord, { maxLength: 200 }),
    received: fc.array(receivedRecord, { maxLength: 200 }),
    dropped: fc.array(droppedRecord, { maxLength: 20 }),
    pieceBytes: fc.integer({ min: 1, max: 97 }),
  });
  fc.assert(
    fc.property(journals, ({ sent, received, dropped, pieceBytes }) => {
      const bytes = writeAll((journal) => {
        for (const record of sent) journal.sent(record);
        for (const record of received) journal.received(record);
        for (const record of dropped) journal.dropped(record);
      });
      const { reader, told } = listen();
      for (let at = 0; at < bytes.length; at += pieceBytes) {
        reader.push(bytes.subarray(at, at + pieceBytes));
      }
      assert.deepEqual(told.sent, sent);
      assert.deepEqual(told.received, received);
      assert.deepEqual(told.dropped, dropped);
    }),
    { numRuns: 40 },
  );
});

test("journal: an event comes after all that happened before it", () => {
  const record = { instance: 1, receiver: 2, sequence: 3 };
  const bytes = writeAll((journal) => {
    journal.received(record);
    journal.event({ kind: "ready", port: 4500 });
  });
  const { reader, told } = listen();
  reader.push(bytes);
  assert.deepEqual(told.received, [record]);
  assert.deepEqual(told.events, [{ kind: "ready", port: 4500 }]);
  const sorted = [...told.times].sort((one, other) => one - other);
  assert.deepEqual(told.times, sorted);
});

test("journal: the time up to which all is told moves on even when nothing happened", () => {
  const { reader, told } = listen();
  reader.push(writeAll(() => undefined));
  assert.deepEqual(told.received, []);
  assert.equal(told.times.length, 1);
});

test("journal: a frame that no dataplane writes is an error, not a wait for ever", () => {
  const { reader } = listen();
  const frame = Buffer.alloc(13);
  frame.writeUInt32BE(0xffff_ffff, 0);
  assert.throws(() => reader.push(frame), /a journal frame has 4294967295 bytes/);
});

test("payload: stream, sequence number and time survive; 200 bytes long", () => {
  const header = { sender: 3, receiver: 4, instance: 77, sequence: 123_456, sentMs: 1234.5 };
  const payload = writePayload(header);
  assert.equal(payload.length, 200);
  assert.deepEqual(readPayload(payload), header);
});

test("payload: what is not one of the lab's packets is none", () => {
  const payload = writePayload({ sender: 0, receiver: 1, instance: 1, sequence: 0, sentMs: 0 });
  payload.writeUInt8(0, 0);
  assert.equal(readPayload(payload), null);
  assert.equal(readPayload(Buffer.from("SPLB")), null);
});
