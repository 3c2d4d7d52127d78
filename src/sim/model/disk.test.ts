import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualTime } from "../engine/virtual-time.js";
import { SimDisk, storageOf } from "./disk.js";

/** A document `old` that is synced, and one that is being saved since time 100 and takes until 110. */
function halfSaved(): { disk: SimDisk; time: VirtualTime; kill: () => void; acknowledged: string[] } {
  const [disk, time] = [new SimDisk(), new VirtualTime()];
  const acknowledged: string[] = [];
  let isAlive = true;
  const storage = storageOf(disk, time, () => isAlive, () => 10);
  const save = (text: string): void => storage.save("state.json", () => text, () => acknowledged.push(text));
  save("old");
  time.runUntil(100);
  save("new");
  const kill = (): void => {
    isAlive = false;
    disk.processDied(time.nowMs);
  };
  return { disk, time, kill, acknowledged };
}

test("disk: a save is there once it is acknowledged, host crash or not", () => {
  const { disk, time, kill, acknowledged } = halfSaved();
  time.runUntil(110);
  kill();
  disk.hostDied();
  assert.equal(disk.read("state.json"), "new");
  assert.deepEqual(acknowledged, ["old", "new"]);
  assert.equal(disk.saves, 2);
});

test("disk: a process that dies early in a save leaves the document before", () => {
  const { disk, time, kill, acknowledged } = halfSaved();
  time.runUntil(104);
  kill();
  time.runUntil(200);
  assert.equal(disk.read("state.json"), "old");
  assert.deepEqual(acknowledged, ["old"]);
});

test("disk: what a process wrote before it died is there, until its host goes down unsynced", () => {
  const { disk, time, kill, acknowledged } = halfSaved();
  time.runUntil(106);
  kill();
  time.runUntil(200);
  assert.equal(disk.read("state.json"), "new");
  assert.deepEqual(acknowledged, ["old"]);
  disk.hostDied();
  assert.equal(disk.read("state.json"), "old");
});
