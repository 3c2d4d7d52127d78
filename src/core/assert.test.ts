import assert from "node:assert/strict";
import { test } from "node:test";
import { assert as assertFact, AssertionError, unreachable } from "./assert.js";

test("assert: a fact passes, its contrary stops with a message that says it is our bug", () => {
  assertFact(true, "holds");
  assert.throws(() => assertFact(false, "decisions settle"), new AssertionError("bug: decisions settle"));
});

test("assert: a value outside a closed union is named", () => {
  assert.throws(() => unreachable({ kind: "new" } as never), /bug: unreachable value \{"kind":"new"\}/);
});
