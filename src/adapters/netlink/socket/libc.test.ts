/** The C library is reached, and only when it is needed. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { loadLibc } from "./libc.js";

/** Prints whether koffi's binary is in the process after `code` ran. */
function holdsKoffi(code: string): string {
  const look = "process.report.getReport().sharedObjects.some((path) => path.includes('koffi'))";
  const program = `${code}; console.log(${look});`;
  const args = ["--input-type=module", "--eval", program];
  return execFileSync(process.execPath, args, { encoding: "utf8" }).trim();
}

test("libc: importing the kernel port does not load koffi, opening it does", () => {
  const port = JSON.stringify(new URL("../kernel-port.js", import.meta.url).href);
  const libc = JSON.stringify(new URL("libc.js", import.meta.url).href);
  assert.equal(holdsKoffi(`await import(${port})`), "false");
  assert.equal(holdsKoffi(`await (await import(${libc})).loadLibc()`), "true");
});

test("libc: a failed call leaves its errno", async () => {
  const libc = await loadLibc();
  assert.equal(libc.close(-1), -1);
  assert.equal(libc.errno(), 9);
});
