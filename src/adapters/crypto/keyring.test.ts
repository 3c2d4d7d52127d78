import assert from "node:assert/strict";
import test from "node:test";
import type { KeyId } from "../../core/key-id.js";
import type { AeadKey } from "../../core/keyfile/key-file.js";
import type { KeyRef } from "../../core/sa.js";
import { Keyring, makeCandidate, type Candidate } from "./keyring.js";

function candidateOf(keyId: number, fill: number): Candidate {
  const bytes = new Uint8Array(20).fill(fill);
  const key: AeadKey = { kind: "aead", algorithm: "rfc4106(gcm(aes))", bytes, icvBits: 128 };
  return makeCandidate(keyId as KeyId, key);
}

function saOf(keyId: number): KeyRef {
  const end = { name: "a", index: 1, incarnationId: "1".repeat(32) };
  return { keyId, from: end, to: { ...end, name: "b" }, family: "ipv4", mode: "tunnel" } as KeyRef;
}

test("keyring: derives with offered keys and with no others", () => {
  const ring = new Keyring();
  assert.equal(ring.derive(saOf(3)), null);
  assert.equal(ring.offer(candidateOf(3, 1)), true);
  assert.equal(ring.derive(saOf(3))?.reveal().length, 20);
  assert.equal(ring.derive(saOf(4)), null);
});

test("keyring: an equal key offered again changes nothing and is wiped", () => {
  const ring = new Keyring();
  ring.offer(candidateOf(3, 1));
  const before = ring.derive(saOf(3))?.reveal();
  const again = candidateOf(3, 1);
  assert.equal(ring.offer(again), true);
  assert.equal(again.key.pseudorandomKey.isWiped, true);
  assert.deepEqual(ring.derive(saOf(3))?.reveal(), before);
});

test("keyring: other bytes under a held id are refused until the old are forgotten", () => {
  const ring = new Keyring();
  const first = candidateOf(3, 1);
  const other = candidateOf(3, 2);
  ring.offer(first);
  assert.equal(ring.offer(other), false);
  assert.equal(other.key.pseudorandomKey.isWiped, true);
  assert.equal(first.key.pseudorandomKey.isWiped, false);
  ring.forget(first.identity);
  assert.equal(ring.offer(candidateOf(3, 2)), true);
  assert.deepEqual(ring.identityOf(3 as KeyId), other.identity);
});

test("keyring: forget wipes that key alone; the absent and other bytes are left", () => {
  const ring = new Keyring();
  const [three, four] = [candidateOf(3, 1), candidateOf(4, 2)];
  ring.offer(three);
  ring.offer(four);
  ring.forget(candidateOf(3, 9).identity);
  assert.equal(three.key.pseudorandomKey.isWiped, false);
  ring.forget(three.identity);
  ring.forget(three.identity);
  assert.equal(three.key.pseudorandomKey.isWiped, true);
  assert.equal(ring.derive(saOf(3)), null);
  assert.equal(ring.derive(saOf(4))?.reveal().length, 20);
});

test("keyring: wiped at the end, nothing is left to derive from", () => {
  const ring = new Keyring();
  const three = candidateOf(3, 1);
  ring.offer(three);
  ring.wipe();
  assert.equal(three.key.pseudorandomKey.isWiped, true);
  assert.equal(ring.derive(saOf(3)), null);
});
