import assert from "node:assert/strict";
import { test } from "node:test";
import { readDocument } from "./document.js";

const env = { NODE_NAME: "node-7", EMPTY: "" };

test("config: a value that is ${NAME} alone is the environment's", () => {
  const { value, problems } = readDocument("node: { name: '${NODE_NAME}', list: ['${NODE_NAME}'] }", env);
  assert.deepEqual(problems, []);
  assert.deepEqual(value, { node: { name: "node-7", list: ["node-7"] } });
});

test("config: ${NAME} inside a longer text, as a field's name or in lower case stays", () => {
  const text = "a: x${NODE_NAME}\nb: ${node_name}\n'${NODE_NAME}': c\n";
  const { value } = readDocument(text, env);
  assert.deepEqual(value, { a: "x${NODE_NAME}", b: "${node_name}", "${NODE_NAME}": "c" });
});

test("config: a variable that is not set or empty is a problem with its place", () => {
  const { value, problems } = readDocument("a: 1\nb: ${EMPTY}\nc: ${MISSING}\n", env);
  assert.equal(value, undefined);
  assert.deepEqual(
    problems.map(({ position, message }) => [position.line, position.column, message]),
    [
      [2, 4, "names the environment variable EMPTY, which is not set"],
      [3, 4, "names the environment variable MISSING, which is not set"],
    ],
  );
});
