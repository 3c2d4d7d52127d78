import assert from "node:assert/strict";
import { test } from "node:test";
import { testKey } from "../../../test/support/fleet-snapshot.js";
import { accepting, sasOf, selecting } from "../../../test/support/peer-states.js";
import { samePolicy, sameSa, type HeldPolicy, type HeldSa } from "./held.js";

const [sa] = sasOf("in", testKey(1));
const [policy] = selecting(testKey(1));
assert.ok(sa !== undefined && policy !== undefined);
const [otherEnd] = sasOf("out", testKey(1));
assert.ok(otherEnd !== undefined);

const remote = { ...sa.remote, address: "192.0.2.99" };

/** Each field as it would be of another SA or policy. */
const otherSa: { readonly [name in keyof HeldSa]: HeldSa[name] } = {
  direction: "out",
  spi: (sa.spi + 1) as HeldSa["spi"],
  remote,
  from: otherEnd.from,
  to: otherEnd.to,
  isIntact: false,
  packets: 1,
  sequence: 1,
  use: { octets: 1, usedAtMs: 1, esn: true },
};
const otherPolicy: { readonly [name in keyof Required<HeldPolicy>]: HeldPolicy[name] } = {
  direction: "in",
  family: "ipv6",
  local: "10.0.0.0/8",
  remote,
  action: accepting()[0]?.action ?? policy.action,
};

test("same SA: every field counts, but what passed it", () => {
  assert.ok(sameSa(sa, { ...sa, remote: { ...sa.remote } }));
  for (const [name, value] of Object.entries(otherSa)) {
    const isCounter = ["packets", "sequence", "use"].includes(name);
    assert.equal(sameSa(sa, { ...sa, [name]: value }), isCounter, name);
  }
  assert.equal(sameSa(sa, { ...sa, from: null }), false);
});

test("same policy: every field counts", () => {
  assert.ok(samePolicy(policy, { ...policy, action: { ...policy.action } }));
  for (const [name, value] of Object.entries(otherPolicy)) {
    assert.equal(samePolicy(policy, { ...policy, [name]: value }), false, name);
  }
});
