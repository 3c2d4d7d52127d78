import assert from "node:assert/strict";
import { test } from "node:test";
import { labNodes, makeLedger, spiOf } from "./fixtures.js";
import type { Ledger } from "./ledger.js";
import { checkValidity, type Validity } from "./validity.js";

const rate = 10;
const openMs = 1_000;

/** Every pair sends for two seconds, the first half with key 1 and the second with key 2. */
function fill(
  ledger: Ledger,
  skips: (sender: number, receiver: number, sequence: number) => boolean,
): void {
  for (const sender of labNodes) {
    for (const receiver of labNodes.filter((node) => node !== sender)) {
      const stream = ledger.stream(sender + 1, receiver);
      assert.ok(stream !== undefined);
      stream.openedMs = openMs;
      stream.closedMs = openMs + 2_000;
      for (let sequence = 0; sequence < 20; sequence += 1) {
        if (skips(sender, receiver, sequence)) continue;
        const number = stream.attempted;
        const keyId = sequence < 10 ? 1 : 2;
        stream.sent({
          receiver,
          sequence: number,
          blocked: null,
          spi: spiOf(keyId),
          espSequence: (sequence % 10) + 1,
          sentMs: openMs + sequence * 100,
        });
        stream.received(number, receiver + 1);
      }
    }
  }
}

function check(ledger: Ledger, unreadPackets = 0): Validity {
  const nameOf = (node: number): string => `node-${node + 1}`;
  return checkValidity({
    ledger,
    nodes: labNodes.length,
    rate,
    keyIds: [1, 2],
    silentPairs: 0,
    unreadPackets,
    nameOf,
  });
}

test("validity: a run in which all was sent and every pair delivered on every key counts", () => {
  const ledger = makeLedger();
  fill(ledger, () => false);
  assert.deepEqual(check(ledger), { sentShare: 1, problems: [] });
});

test("validity: a machine that was too slow is said to be", () => {
  const ledger = makeLedger();
  fill(ledger, (_sender, _receiver, sequence) => sequence % 5 === 4);
  const { sentShare, problems } = check(ledger);
  assert.equal(sentShare, 0.8);
  assert.deepEqual(problems, ["the machine was too slow: 80.0 % sent, 95 % needed"]);
});

test("validity: a pair that never used an SA of a key proves nothing about it", () => {
  const ledger = makeLedger();
  fill(ledger, (sender, receiver, sequence) => sender === 2 && receiver === 0 && sequence >= 10);
  const { problems } = check(ledger);
  assert.ok(
    problems.includes("no outbound SA of key 2 was used: node-3 to node-1"),
    problems.join(),
  );
});

test("validity: a pair that sent and delivered nothing on a key is named", () => {
  const ledger = makeLedger();
  fill(ledger, () => false);
  const stream = ledger.stream(1, 1);
  for (const use of stream?.uses ?? []) if (use.keyId === 2) use.delivered = 0;
  assert.deepEqual(check(ledger).problems, ["nothing was delivered with key 2: node-1 to node-2"]);
});

test("validity: a packet that came twice makes every count doubtful", () => {
  const ledger = makeLedger();
  fill(ledger, () => false);
  ledger.stream(1, 1)?.received(0, 2);
  assert.deepEqual(check(ledger).problems, ["1 packets were delivered twice"]);
});

test("validity: packets that nobody read in time are the machine's fault", () => {
  const ledger = makeLedger();
  fill(ledger, () => false);
  const [problem] = check(ledger, 17).problems;
  assert.match(
    problem ?? "",
    /too slow: 17 packets found a full socket buffer; try a lower --rate/,
  );
});

test("validity: an empty run proves nothing", () => {
  assert.equal(check(makeLedger()).sentShare, 0);
  assert.notDeepEqual(check(makeLedger()).problems, []);
});
