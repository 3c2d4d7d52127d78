import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { LogFields, LogLevel } from "../../ports/log.js";
import { Secret } from "../crypto/secret.js";
import type { Terminal } from "../system/terminal.js";
import { makeLog } from "./log.js";

function capture(isTTY: boolean): { readonly stream: Terminal; readonly text: () => string } {
  let text = "";
  const write = (chunk: string): boolean => {
    text += chunk;
    return true;
  };
  return { stream: { write, isTTY }, text: () => text };
}

test("log: an entry is one JSON line with level, wall time, message and facts", () => {
  const { stream, text } = capture(false);
  const log = makeLog({ level: "info", fields: { node: "node-1" }, stream });
  log.write("info", "phase changed", { from: "staging", to: "staged", keyId: 8 });
  const { time, ...entry } = JSON.parse(text()) as Record<string, unknown>;
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]{12}Z$/);
  assert.deepEqual(entry, {
    level: "info",
    node: "node-1",
    from: "staging",
    to: "staged",
    keyId: 8,
    msg: "phase changed",
  });
  assert.ok(text().endsWith("}\n"));
});

test("log: a fact called `message` does not hide the message", () => {
  const { stream, text } = capture(false);
  makeLog({ level: "info", stream }).write("warn", "key file unreadable", { message: "EACCES" });
  const entry = JSON.parse(text()) as Record<string, unknown>;
  assert.equal(entry["msg"], "key file unreadable");
  assert.equal(entry["message"], "EACCES");
});

const levels: readonly LogLevel[] = ["error", "warn", "info", "debug"];

for (const [index, level] of levels.entries()) {
  test(`log: level ${level} lets ${index + 1} of 4 levels through`, () => {
    const { stream, text } = capture(false);
    const log = makeLog({ level, stream });
    for (const written of levels) log.write(written, "entry", {});
    assert.equal(text().split("\n").length - 1, index + 1);
  });
}

test("log: on a terminal an entry is one coloured line", () => {
  const { stream, text } = capture(true);
  const log = makeLog({ level: "info", stream });
  log.write("warn", "registry retry", { attempt: 2, why: "connection refused" });
  assert.notEqual(text(), stripVTControlCharacters(text()));
  assert.match(
    stripVTControlCharacters(text()),
    /^\d\d:\d\d:\d\d\.\d{3} WARN  registry retry attempt=2 why="connection refused"\n$/,
  );
});

for (const isTTY of [false, true]) {
  test(`log: a secret that slips in prints its fingerprint, terminal ${isTTY}`, () => {
    const secret = new Secret(Buffer.from("0123456789abcdef0123456789abcdef", "hex"));
    const { stream, text } = capture(isTTY);
    const slipped = { key: secret } as unknown as LogFields;
    makeLog({ level: "info", stream }).write("info", "slipped", slipped);
    const printed = stripVTControlCharacters(text());
    assert.ok(printed.includes(`secret:${secret.fingerprint()}`), printed);
    assert.ok(!/0123456789abcdef|1,\s*35,\s*69/.test(printed), printed);
  });
}

test("log: lines go to stderr and are out before the program dies", () => {
  const url = new URL("./log.js", import.meta.url).href;
  const program = `
    const { makeLog } = await import(${JSON.stringify(url)});
    makeLog({ level: "info" }).write("error", "last words", {});
    process.kill(process.pid, "SIGKILL");`;
  const result = runNode(program);
  assert.equal(result.stdout, "");
  assert.match(result.stderr, /"msg":"last words"\}\n$/);
});

function runNode(program: string): { readonly stdout: string; readonly stderr: string } {
  try {
    execFileSync(process.execPath, ["--input-type=module", "-e", program], { stdio: "pipe" });
    return assert.fail("the program killed itself");
  } catch (cause) {
    const { stdout, stderr } = cause as { readonly stdout: Buffer; readonly stderr: Buffer };
    return { stdout: stdout.toString(), stderr: stderr.toString() };
  }
}
