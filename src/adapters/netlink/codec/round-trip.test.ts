/** What the codec writes it reads back, whatever the SA or policy, and also as the kernel tells of it later. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { saKey, xfrmPolicy, xfrmSa } from "../../../../test/support/netlink/arbitraries.js";
import {
  attributeOf,
  policyDeletion,
  policyExpiry,
  saDeletion,
  saExpiry,
  told,
  withCounters,
  words,
  written,
  type Counters,
} from "../../../../test/support/netlink/as-kernel.js";
import { readAddress } from "./address.js";
import { netlinkFlag, netlinkType, xfrmMessage } from "./constants.js";
import { readKernelError } from "./kernel-error.js";
import type { ListedPolicy, ListedSa, XfrmPolicy, XfrmSa } from "./model.js";
import { readNotification } from "./notification.js";
import { appendDeletePolicy, appendGetPolicy, appendPolicy, readPolicy } from "./policy.js";
import { readAttributes, viewOf, type ReceivedMessage } from "./received.js";
import { appendDeleteSa, appendGetSa, appendSa, readSa } from "./sa.js";
import { readSelector } from "./structures.js";

const unused: Counters = { packets: 0, bytes: 0, firstUsedAt: 0, lastUsedAt: null, receivedSequence: 0, sentSequence: 0 };

/** What a dump says of an SA that we made. */
function listedSa({ encapsulation, ...sa }: XfrmSa, key: Uint8Array, counters = unused): ListedSa {
  return {
    ...sa,
    protocol: 50,
    hasMark: false,
    encapsulation: encapsulation && { type: 2, ...encapsulation },
    aead: { name: "rfc4106(gcm(aes))", icvBits: 128, key },
    ...counters,
  };
}

function listedPolicy({ templates, ...policy }: XfrmPolicy): ListedPolicy {
  const listed = templates.map((template) => ({ ...template, protocol: 50 }));
  return { ...policy, index: 0, hasMark: false, templates: listed };
}

/** Keys are told as views, of whatever kind of array. */
function plain(sa: ListedSa | null): ListedSa | null {
  return sa?.aead ? { ...sa, aead: { ...sa.aead, key: Uint8Array.from(sa.aead.key) } } : sa;
}

function plainNotification(message: ReceivedMessage): unknown {
  const notification = readNotification(message);
  return notification !== null && "sa" in notification ? { ...notification, sa: plain(notification.sa) } : notification;
}

const added = (sa: XfrmSa, key: Uint8Array): ReceivedMessage => written((batch) => appendSa(batch, "add", sa, key));
const set = (policy: XfrmPolicy): ReceivedMessage => written((batch) => appendPolicy(batch, "set", policy));

for (const [verb, type, kind] of [
  ["add", xfrmMessage.newSa, "sa-added"],
  ["update", xfrmMessage.updateSa, "sa-updated"],
] as const) {
  test(`round trip: an SA to ${verb}, and the kernel's word of it`, () => {
    fc.assert(
      fc.property(xfrmSa, saKey, (sa, key) => {
        const message = written((batch) => appendSa(batch, verb, sa, key));
        assert.equal(message.type, type);
        assert.deepEqual(readSa(message.payload), listedSa(sa, key));
        assert.deepEqual(readNotification(message), { kind, sa: listedSa(sa, key) });
      }),
    );
  });
}

test("round trip: an SA that was deleted or expired is told as it was", () => {
  fc.assert(
    fc.property(xfrmSa, saKey, fc.boolean(), (sa, key, hard) => {
      const message = added(sa, key);
      assert.deepEqual(plainNotification(saDeletion(message)), { kind: "sa-deleted", sa: listedSa(sa, key) });
      assert.deepEqual(plainNotification(saExpiry(message, hard)), { kind: "sa-expired", sa: listedSa(sa, key), hard });
    }),
  );
});

test("round trip: what passed through an SA", () => {
  const count = fc.maxSafeNat();
  const sequence = (esn: boolean): fc.Arbitrary<number> => fc.nat(esn ? 2 ** 53 - 1 : 2 ** 32 - 1);
  const used = xfrmSa.chain((sa) => {
    const counters = { packets: count, bytes: count, firstUsedAt: count, lastUsedAt: fc.option(count) };
    const sequences = { receivedSequence: sequence(sa.esn), sentSequence: sequence(sa.esn) };
    return fc.tuple(fc.constant(sa), fc.record({ ...counters, ...sequences }, { noNullPrototype: true }));
  });
  fc.assert(
    fc.property(used, saKey, ([sa, counters], key) => {
      const { payload } = withCounters(added(sa, key), counters);
      assert.deepEqual(plain(readSa(payload)), listedSa(sa, key, counters));
    }),
  );
});

for (const [verb, type, kind] of [
  ["add", xfrmMessage.newPolicy, "policy-added"],
  ["set", xfrmMessage.updatePolicy, "policy-updated"],
] as const) {
  test(`round trip: a policy to ${verb}, and the kernel's word of it`, () => {
    fc.assert(
      fc.property(xfrmPolicy, (policy) => {
        const message = written((batch) => appendPolicy(batch, verb, policy));
        assert.equal(message.type, type);
        assert.deepEqual(readPolicy(message.payload), listedPolicy(policy));
        assert.deepEqual(readNotification(message), { kind, policy: listedPolicy(policy) });
      }),
    );
  });
}

test("round trip: a policy that was deleted or expired is told as it was", () => {
  fc.assert(
    fc.property(xfrmPolicy, fc.boolean(), (one, hard) => {
      const [message, policy] = [set(one), listedPolicy(one)];
      assert.deepEqual(readNotification(policyDeletion(message)), { kind: "policy-deleted", policy });
      assert.deepEqual(readNotification(policyExpiry(message, hard)), { kind: "policy-expired", policy, hard });
    }),
  );
});

/** What the kernel looks the SA up by: struct xfrm_usersa_id. */
function namedSa(payload: Uint8Array): unknown {
  assert.equal(payload.length, 24);
  const view = viewOf(payload);
  const family = { 2: "ipv4", 10: "ipv6" }[view.getUint16(20, true)] as XfrmSa["family"];
  return { family, destination: readAddress(payload, 0, family), spi: view.getUint32(16), protocol: payload[22] };
}

for (const [what, type, append] of [
  ["deletion of", xfrmMessage.deleteSa, appendDeleteSa],
  ["question for", xfrmMessage.getSa, appendGetSa],
] as const) {
  test(`round trip: a ${what} an SA names it`, () => {
    fc.assert(
      fc.property(xfrmSa, (sa) => {
        const message = written((batch) => append(batch, sa));
        const { family, destination, spi } = sa;
        assert.deepEqual(namedSa(message.payload), { family, destination, spi, protocol: 50 });
        assert.deepEqual([message.type, message.flags], [type, netlinkFlag.request]);
      }),
    );
  });
}

/** struct xfrm_userpolicy_id and XFRMA_IF_ID. An index would be looked at before the selector. */
function namedPolicy(payload: Uint8Array): unknown {
  const ifId = readAttributes(payload, 64).get(31);
  return {
    selector: readSelector(payload, 0),
    index: viewOf(payload).getUint32(56, true),
    direction: ["in", "out", "forward"][payload[60]!],
    ifId: ifId === undefined ? null : viewOf(ifId).getUint32(0, true),
  };
}

for (const [what, type, append] of [
  ["deletion of", xfrmMessage.deletePolicy, appendDeletePolicy],
  ["question for", xfrmMessage.getPolicy, appendGetPolicy],
] as const) {
  test(`round trip: a ${what} a policy names it`, () => {
    fc.assert(
      fc.property(xfrmPolicy, (policy) => {
        const message = written((batch) => append(batch, policy));
        const { selector, direction, ifId } = policy;
        assert.deepEqual(namedPolicy(message.payload), { selector, index: 0, direction, ifId });
        assert.deepEqual([message.type, message.flags], [type, netlinkFlag.request]);
      }),
    );
  });
}

const kernelError = fc.record(
  {
    errno: fc.integer({ min: 1, max: 4_095 }),
    text: fc.option(fc.stringMatching(/^[ -~]{1,80}$/)),
    offset: fc.option(fc.nat()),
  },
  { noNullPrototype: true },
);

test("round trip: a refusal of the kernel, with its words and the place, capped or not", () => {
  fc.assert(
    fc.property(kernelError, fc.boolean(), xfrmPolicy, (error, isCapped, policy) => {
      const { payload } = set(policy);
      const header = Buffer.concat([words(16 + payload.length), new Uint8Array(12)]);
      const refused = isCapped ? [header] : [header, payload];
      const flags = netlinkFlag.extended | (isCapped ? netlinkFlag.capped : 0);
      const status = words(2 ** 32 - error.errno);
      const acknowledgement = told(netlinkType.error, status, ...refused, ...extended(error));
      assert.deepEqual(readKernelError({ ...acknowledgement, flags }), error);
      const ended = told(netlinkType.done, status, ...extended(error));
      assert.deepEqual(readKernelError({ ...ended, flags: netlinkFlag.extended }), error);
    }),
  );
});

/** NLMSGERR_ATTR_MSG and NLMSGERR_ATTR_OFFS. */
function extended({ text, offset }: { text: string | null; offset: number | null }): readonly Uint8Array[] {
  return [
    ...(text === null ? [] : [attributeOf(1, Buffer.from(`${text}\0`))]),
    ...(offset === null ? [] : [attributeOf(2, words(offset))]),
  ];
}
