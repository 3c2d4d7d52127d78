/** The kernel's errors are documented as they are given. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { readFile } from "../../../../test/support/repository.js";
import { describeKernelError, errnos } from "./errno.js";
import { readKernelError } from "./kernel-error.js";
import { constants } from "node:os";

test("errno: docs/reference/errors.md has each code with its meaning and remedy, and no other", () => {
  const documented = readFile("docs/reference/errors.md")
    .split("\n")
    .filter((line) => /^\| `E[A-Z0-9]+` \|/.test(line));
  const given = [...errnos.values()].map(
    ({ code, meaning, remedy }) => `| \`${code}\` | ${meaning} | ${remedy} |`,
  );
  assert.deepEqual(documented.sort(), given.sort());
});

test("errno: numbers are those of this system", () => {
  const system: Readonly<Record<string, number>> = constants.errno;
  for (const [number, { code }] of errnos) assert.equal(system[code], number, code);
});

test("errno: a number without a row keeps its number in the message", () => {
  const described = describeKernelError({ errno: 133, text: null, offset: null });
  assert.equal(described.code, "XFRM_REFUSED");
  assert.match(described.message, /133/);
});

test("errno: the kernel's text and the offending place come first", () => {
  const { message } = describeKernelError({ errno: 22, text: "Invalid mode", offset: 230 });
  assert.match(message, /^Invalid mode \(at byte 230 of the request\): /);
});

test("errno: an error that repeats the whole request is read behind it", () => {
  const payload = new Uint8Array(4 + 24 + 8);
  const view = new DataView(payload.buffer);
  view.setInt32(0, -17, true);
  view.setUint32(4, 24, true);
  view.setUint16(28, 8, true);
  view.setUint16(30, 2, true);
  view.setUint32(32, 20, true);
  const message = { type: 2, flags: 0x200, sequence: 1, portId: 1, payload };
  assert.deepEqual(readKernelError(message), { errno: 17, text: null, offset: 20 });
});
