import assert from "node:assert/strict";
import { test } from "node:test";
import { TurnQueue } from "./turn-queue.js";

test("turn queue: everything runs once, in order, and between two callbacks others have their turn", async () => {
  const turns = new TurnQueue();
  const seen: string[] = [];
  await new Promise<void>((resolve) => {
    for (const name of ["a", "b", "c"]) {
      turns.defer(() => {
        seen.push(name);
        setImmediate(() => seen.push("others"));
        // What is put off by a turn waits behind those that wait already.
        turns.defer(() => {
          seen.push(`${name} again`);
          if (name === "c") setImmediate(resolve);
        });
      });
    }
  });
  assert.deepEqual(seen.filter((name) => name !== "others"), ["a", "b", "c", "a again", "b again", "c again"]);
  assert.deepEqual(seen.slice(0, 6), ["a", "others", "b", "others", "c", "others"]);
});
