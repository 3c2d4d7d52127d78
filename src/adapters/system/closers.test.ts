import assert from "node:assert/strict";
import { test } from "node:test";
import { Closers } from "./closers.js";

test("closers: everything is closed in reverse order, also when one of them fails", async () => {
  const closed: string[] = [];
  const closers = new Closers();
  closers.add(() => void closed.push("first"));
  closers.add(() => Promise.reject(new Error("second")));
  closers.add(async () => void closed.push("third"));
  await assert.rejects(closers.closeAll(), /second/);
  assert.deepEqual(closed, ["third", "first"]);
});

test("closers: nothing is closed twice", async () => {
  let count = 0;
  const closers = new Closers();
  closers.add(() => void (count += 1));
  await closers.closeAll();
  await closers.closeAll();
  assert.equal(count, 1);
});
