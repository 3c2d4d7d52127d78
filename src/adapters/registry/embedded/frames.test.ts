import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../../../core/limits.js";
import { encodeFrame, FrameReader } from "./frames.js";

test("frames: any messages come out as they went in, however the stream is cut", () => {
  const cuts = fc.array(fc.nat(400), { maxLength: 20 });
  fc.assert(
    fc.property(fc.array(fc.jsonValue(), { maxLength: 8 }), cuts, (messages, offsets) => {
      const expected = messages.map((message) => JSON.parse(JSON.stringify(message)) as unknown);
      const stream = Buffer.concat(messages.map((one) => encodeFrame(JSON.stringify(one))));
      const reader = new FrameReader();
      const ends = [...offsets.filter((end) => end < stream.length), stream.length];
      let start = 0;
      const seen: unknown[] = [];
      for (const end of ends.sort((one, other) => one - other)) {
        seen.push(...reader.read(stream.subarray(start, end)));
        start = end;
      }
      assert.deepEqual(seen, expected);
    }),
  );
});

test("frames: a message beyond the limit is refused by its length, before it is read", () => {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(limits.registryFrameBytesMax + 1);
  assert.throws(() => new FrameReader().read(header), { code: "REGISTRY_PROTOCOL" });
});

test("frames: what is not JSON is refused", () => {
  assert.throws(() => new FrameReader().read(encodeFrame("GET /")), { code: "REGISTRY_PROTOCOL" });
});
