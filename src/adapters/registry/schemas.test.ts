import assert from "node:assert/strict";
import { test } from "node:test";
import { rosterRecordSchema } from "./schemas.js";

function parse(ipv6: string): ReturnType<typeof rosterRecordSchema.safeParse> {
  return rosterRecordSchema.safeParse({
    schemaVersion: 1,
    name: "a",
    index: 0,
    incarnationId: "1".repeat(32),
    incarnationNumber: 0,
    addresses: { ipv4: null, ipv6, udpPort: null },
    numbers: { nextNumber: 1, superseded: [] },
  });
}

test("registry records: an IPv6 address is read in canonical form, however it was written", () => {
  assert.equal(parse("FD00:0:0::0001").data?.addresses.ipv6, "fd00::1");
});

test("registry records: what is no IPv6 address of a host makes the record unreadable", () => {
  for (const text of ["fd00::1%eth0", "::ffff:192.0.2.1", "192.0.2.1"]) assert.ok(!parse(text).success, text);
});
