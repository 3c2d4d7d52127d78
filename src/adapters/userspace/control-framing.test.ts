import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../core/limits.js";
import { type PortError } from "../port-error.js";
import { FrameReader, noAttachment, writeFrame } from "./control-framing.js";

/** The format once more, without the code under test. */
function encode(header: unknown, attachment: Uint8Array): Buffer {
  const json = Buffer.from(JSON.stringify(header));
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(4 + json.length + attachment.length, 0);
  prefix.writeUInt32BE(json.length, 4);
  return Buffer.concat([prefix, json, attachment]);
}

const frames = fc.array(
  fc.record({
    header: fc.record({ text: fc.string() }),
    attachment: fc.uint8Array({ maxLength: 200 }),
  }),
  { maxLength: 10 },
);

test("framing: any cut of the stream gives the same frames", () => {
  fc.assert(
    fc.property(frames, fc.array(fc.nat(300), { minLength: 1 }), (sent, cuts) => {
      const stream = Buffer.concat(
        sent.map(({ header, attachment }) => encode(header, attachment)),
      );
      const received: unknown[] = [];
      const reader = new FrameReader(({ header, attachment }) => {
        received.push({ header, attachment: new Uint8Array(attachment) });
      });
      for (let start = 0, turn = 0; start < stream.length; turn += 1) {
        const end = start + 1 + cuts[turn % cuts.length]!;
        reader.push(Buffer.from(stream.subarray(start, end)));
        start = end;
      }
      assert.equal(JSON.stringify(received), JSON.stringify(sent));
    }),
  );
});

test("framing: received bytes are zeroed once their frame was delivered", () => {
  const views: Buffer[] = [];
  const reader = new FrameReader(({ attachment }) => {
    assert.deepEqual(attachment, Buffer.from("secret bytes"));
    views.push(attachment);
  });
  const chunk = encode({ kind: "x" }, Buffer.from("secret bytes"));
  reader.push(chunk);
  assert.ok(chunk.every((byte) => byte === 0));
  assert.equal(views.length, 1);
  assert.ok(views[0]!.every((byte) => byte === 0));
});

const lengths = (total: number, header: number): Buffer => {
  const prefix = Buffer.alloc(8);
  prefix.writeUInt32BE(total, 0);
  prefix.writeUInt32BE(header, 4);
  return prefix;
};
const senseless: readonly [string, Buffer][] = [
  ["more than the limit", lengths(limits.controlFrameBytesMax + 1, 2)],
  ["a header longer than the frame", lengths(10, 7)],
  ["no room for its header length", lengths(3, 0)],
  ["a header that is not JSON", Buffer.concat([lengths(6, 2), Buffer.from("{{")])],
];
for (const [name, bytes] of senseless) {
  test(`framing: refuses ${name}`, () => {
    const reader = new FrameReader(() => assert.fail("no frame is delivered"));
    assert.throws(
      () => reader.push(Buffer.from(bytes)),
      (error: PortError) => error.code === "CONTROL_PROTOCOL",
    );
  });
}

test("framing: frames larger than a socket's buffer arrive whole, then are wiped", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spindle-framing-"));
  const server = createServer().listen(join(directory, "s"));
  await once(server, "listening");
  const client = connect(join(directory, "s"));
  const [accepted] = (await once(server, "connection")) as [Socket];
  const attachment = Buffer.alloc(900_000, 5);
  const sizes: number[] = [];
  const arrived = new Promise<void>((resolve) => {
    const reader = new FrameReader((frame) => {
      sizes.push(frame.attachment.length);
      if (sizes.length === 3) resolve();
    });
    accepted.on("data", (chunk: Buffer) => reader.push(chunk));
  });
  writeFrame(client, { n: 1 }, noAttachment);
  const written = new Promise<void>(
    (resolve) => void writeFrame(client, { n: 2 }, attachment, resolve),
  );
  writeFrame(client, { n: 3 }, Buffer.alloc(1));
  await Promise.all([arrived, written]);
  assert.deepEqual(sizes, [0, 900_000, 1]);
  client.destroy();
  server.close();
  await rm(directory, { recursive: true });
});
