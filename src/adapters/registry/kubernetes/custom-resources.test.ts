import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { customResourceDefinition, kinds } from "./custom-resources.js";

const folder = fileURLToPath(
  new URL("../../../../../deploy/helm/spindle/crds/", import.meta.url),
);

test("definitions: the files of the chart are current (node tools/crds.mjs writes them)", () => {
  const written = readdirSync(folder).map((file): unknown =>
    parse(readFileSync(folder + file, "utf8")),
  );
  const current = kinds.map((kind) => JSON.parse(JSON.stringify(customResourceDefinition(kind))));
  const byName = (one: unknown, other: unknown): number =>
    JSON.stringify(one) < JSON.stringify(other) ? -1 : 1;
  assert.deepEqual(written.sort(byName), current.sort(byName));
});
