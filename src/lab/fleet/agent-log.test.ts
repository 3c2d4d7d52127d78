import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAgentLog } from "./agent-log.js";

const lines = [
  {
    line: '{"level":"info","node":"node-1","from":"staging","to":"staged","keyId":2,"msg":"phase changed"}',
    entry: { kind: "phase", to: "staged", keyId: 2 },
  },
  {
    line: '{"level":"info","keyId":2,"check":"ab","sas":4,"stagingMs":12,"msg":"staged"}',
    entry: { kind: "staged", keyId: 2 },
  },
  {
    line: '{"level":"info","keyId":1,"errors":0,"msg":"old key retired"}',
    entry: { kind: "retired", keyId: 1, forced: false },
  },
  {
    line: '{"level":"error","keyId":1,"errors":3,"msg":"old key retired by force"}',
    entry: { kind: "retired", keyId: 1, forced: true },
  },
  { line: '{"level":"info","keyIds":"1,2","msg":"key file read"}', entry: null },
  { line: '{"level":"info","to":"dancing","keyId":2,"msg":"phase changed"}', entry: null },
  { line: "(node:1) Warning: something", entry: null },
  { line: "[1, 2]", entry: null },
  { line: "", entry: null },
] as const;

for (const { line, entry } of lines) {
  test(`agent log: ${line === "" ? "an empty line" : line}`, () => {
    assert.deepEqual(parseAgentLog(line), entry);
  });
}
