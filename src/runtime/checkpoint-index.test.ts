import assert from "node:assert/strict";
import { test } from "node:test";
import { peer, recordOf, self } from "../../test/support/peer-states.js";
import { PersistentMap } from "../core/persistent-map.js";
import { CheckpointIndex } from "./checkpoint-index.js";

const remote = { address: peer.addresses.ipv4 ?? "", udpPort: peer.addresses.udpPort };
const withPeer = PersistentMap.from([[peer.name, recordOf([], peer)]]);

test("checkpoint index: a node is found by what its SPIs carry and by its address", () => {
  const index = new CheckpointIndex();
  assert.equal(index.senderOf(withPeer, peer.index, peer.incarnationNumber), peer);
  assert.equal(index.senderOf(withPeer, peer.index, peer.incarnationNumber + 1), undefined);
  assert.equal(index.nodeAt(withPeer, remote), peer);
  assert.equal(index.nodeAt(withPeer, { ...remote, udpPort: 4_501 }), undefined);
});

test("checkpoint index: another checkpoint is read anew", () => {
  const index = new CheckpointIndex();
  assert.equal(index.nodeAt(withPeer, remote), peer);
  const moved = { ...peer, addresses: { ...peer.addresses, ipv4: "192.0.2.99" } };
  const after = withPeer.set(peer.name, recordOf([], moved)).set(self.name, recordOf([], self));
  assert.equal(index.nodeAt(after, remote), undefined);
  assert.equal(index.senderOf(after, self.index, self.incarnationNumber), self);
});
