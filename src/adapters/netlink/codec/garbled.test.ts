/** Messages that were cut, or some of whose bytes are others, are read without failing, and nothing outside them is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ourRoute, saKey, xfrmPolicy, xfrmSa } from "../../../../test/support/netlink/arbitraries.js";
import { policyDeletion, policyExpiry, saDeletion, saExpiry, withCounters, written } from "../../../../test/support/netlink/as-kernel.js";
import { kernelBytes } from "../../../../test/support/netlink/kernel-bytes.js";
import { readFilter, readLink } from "../route/attached-codec.js";
import { readDevice, readDeviceAddress } from "../route/device-codec.js";
import { appendReplaceRoute, readRoute } from "../route/route-codec.js";
import { headerBytes, netlinkFlag, netlinkType, xfrmMessage } from "./constants.js";
import { readKernelError } from "./kernel-error.js";
import { readNotification } from "./notification.js";
import { appendGetPolicy, appendPolicy, readPolicy } from "./policy.js";
import { eachMessage, type ReceivedMessage } from "./received.js";
import { appendGetSa, appendSa, readSa } from "./sa.js";

const counters = { packets: 1, bytes: 2, firstUsedAt: 3, lastUsedAt: 6, receivedSequence: 4, sentSequence: 5 };

const ofSa = fc.tuple(xfrmSa, saKey).chain(([sa, key]) => {
  const message = written((batch) => appendSa(batch, "add", sa, key));
  const all = [message, withCounters(message, counters), saDeletion(message), saExpiry(message, true)];
  return fc.constantFrom(...all, written((batch) => appendGetSa(batch, sa)));
});

const ofPolicy = xfrmPolicy.chain((policy) => {
  const message = written((batch) => appendPolicy(batch, "set", policy));
  const all = [message, policyDeletion(message), policyExpiry(message, false)];
  return fc.constantFrom(...all, written((batch) => appendGetPolicy(batch, policy)));
});

const ofRoute = ourRoute.map((route) => written((batch) => appendReplaceRoute(batch, route)));
const fromKernel = fc.constantFrom(...Object.values(kernelBytes)).map((hex) => Buffer.from(hex, "hex"));

/** Several messages as one receive call gives them. */
const sound = fc
  .array(fc.oneof(fc.oneof(ofSa, ofPolicy, ofRoute).map(bytesOf), fromKernel), { minLength: 1, maxLength: 3 })
  .map((parts) => Uint8Array.from(Buffer.concat(parts)));

/** Lengths and types are where a wrong byte leads astray: the values that hurt come often. */
const hurtful = [0, 1, 3, 4, 7, 8, 0x7f, 0x80, 0xff];
const byte = fc.oneof(fc.constantFrom(...hurtful), fc.nat(255));
const faults = fc.array(fc.tuple(fc.nat(), byte), { maxLength: 8 });

const garbled = fc.tuple(sound, faults, fc.nat(), fc.boolean()).map(([bytes, wrong, end, isCut]) => {
  for (const [at, value] of wrong) bytes[at % bytes.length] = value;
  return isCut ? bytes.slice(0, end % bytes.length) : bytes;
});

function bytesOf({ type, flags, payload }: ReceivedMessage): Uint8Array {
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  view.setUint32(0, headerBytes + payload.length, true);
  view.setUint16(4, type, true);
  view.setUint16(6, flags, true);
  return Buffer.concat([header, payload, new Uint8Array(-payload.length & 3)]);
}

const types = Object.values(xfrmMessage);
const answers = [netlinkType.error, netlinkType.done] as const;
const flagSets = [0, netlinkFlag.extended, netlinkFlag.extended | netlinkFlag.capped] as const;

/** Takes the bytes for whatever they might be. */
function readAsAnything(message: ReceivedMessage): void {
  const { payload } = message;
  for (const type of [message.type, ...types]) seeKey(payload, readNotification({ ...message, type }));
  for (const type of answers) for (const flags of flagSets) readKernelError({ ...message, type, flags });
  seeKey(payload, { sa: readSa(payload) });
  for (const read of [readPolicy, readRoute, readDevice, readDeviceAddress, readLink, readFilter]) read(payload);
}

/** What is told for a key lies inside the message: nothing else that the buffer holds is taken for one. */
function seeKey(payload: Uint8Array, told: object | null): void {
  const key = told !== null && "sa" in told ? (told.sa as ReturnType<typeof readSa>)?.aead?.key : undefined;
  if (key === undefined) return;
  assert.ok(key.byteOffset >= payload.byteOffset);
  assert.ok(key.byteOffset + key.length <= payload.byteOffset + payload.length);
}

test("garbled: messages with wrong bytes, or cut anywhere", () => {
  fc.assert(
    fc.property(garbled, (bytes) => {
      let count = 0;
      eachMessage(bytes, (message) => {
        count += 1;
        readAsAnything(message);
      });
      assert.ok(count <= bytes.length / headerBytes);
    }),
    { numRuns: 1_000 },
  );
});

test("garbled: one wrong byte, each in turn", () => {
  for (const message of fc.sample(fc.oneof(ofSa, ofPolicy, ofRoute), { numRuns: 25, seed: 1 })) {
    const payload = Uint8Array.from(message.payload);
    for (const [at, right] of message.payload.entries()) {
      for (const value of hurtful) {
        payload[at] = value;
        readAsAnything({ ...message, payload });
      }
      payload[at] = right;
    }
  }
});

test("garbled: payloads that end anywhere, each taken for everything", () => {
  fc.assert(
    fc.property(fc.oneof(ofSa, ofPolicy, ofRoute), fc.nat(), (message, end) => {
      readAsAnything({ ...message, payload: message.payload.subarray(0, end % (message.payload.length + 1)) });
    }),
    { numRuns: 1_000 },
  );
});

test("garbled: bytes that mean nothing", () => {
  fc.assert(
    fc.property(fc.constantFrom(...types), fc.uint8Array({ maxLength: 600, size: "max" }), (type, payload) => {
      eachMessage(payload, readAsAnything);
      readAsAnything({ type, flags: 0, sequence: 0, portId: 0, payload });
    }),
  );
});

test("garbled: an attribute that is cut is absent, and what stands before it is read", () => {
  fc.assert(
    fc.property(xfrmSa, saKey, fc.nat(), (sa, key, cut) => {
      const { payload } = written((batch) => appendSa(batch, "add", sa, key));
      const whole = readSa(payload)!;
      const read = readSa(payload.subarray(0, 224 + (cut % (payload.length - 224))))!;
      for (const name of ["family", "source", "destination", "spi", "mode", "reqid", "esn"] as const) {
        assert.equal(read[name], whole[name]);
      }
      if (read.aead !== null) assert.deepEqual(read.aead, whole.aead);
    }),
  );
});

/** NLMSGERR without NLM_F_CAPPED tells how long the refused message was; 2^31 and more once led backwards. */
test("garbled: a refusal that claims to repeat more than there is has no words", () => {
  for (const length of [17, 4_096, 0x7fff_ffff, 0x8000_0000, 0xffff_fffd, 0xffff_ffff]) {
    const payload = new Uint8Array(24);
    new DataView(payload.buffer).setInt32(0, -22, true);
    new DataView(payload.buffer).setUint32(4, length, true);
    const message = { type: netlinkType.error, flags: netlinkFlag.extended, sequence: 0, portId: 0, payload };
    assert.deepEqual(readKernelError(message), { errno: 22, text: null, offset: null }, String(length));
  }
});
