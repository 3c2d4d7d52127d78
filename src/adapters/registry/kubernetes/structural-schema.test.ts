import assert from "node:assert/strict";
import { test } from "node:test";
import { z } from "zod";
import { restoreNulls, structuralSchema } from "./structural-schema.js";

const schema = z.object({
  schemaVersion: z.literal(1),
  name: z.string().max(9),
  place: z.object({ row: z.number().int().min(1).nullable() }).nullable(),
  rows: z.array(z.object({ note: z.string().nullable() })),
  count: z.number().int().nonnegative(),
  kind: z.enum(["a", "b"]).optional(),
});

test("structural schema: null becomes nullable, and such a field need not be there", () => {
  assert.deepEqual(structuralSchema(schema), {
    type: "object",
    properties: {
      schemaVersion: { type: "integer", minimum: 1 },
      name: { type: "string", maxLength: 9 },
      place: {
        type: "object",
        nullable: true,
        properties: { row: { type: "integer", minimum: 1, maximum: 2 ** 53 - 1, format: "int64", nullable: true } },
      },
      rows: {
        type: "array",
        items: { type: "object", properties: { note: { type: "string", nullable: true } } },
      },
      count: { type: "integer", minimum: 0, maximum: 2 ** 53 - 1, format: "int64" },
      kind: { type: "string", enum: ["a", "b"] },
    },
    required: ["schemaVersion", "name", "rows", "count"],
  });
});

test("structural schema: parts of an intersection come together", () => {
  const both = z.intersection(z.object({ a: z.string() }), z.object({ b: z.string().optional() }));
  assert.deepEqual(structuralSchema(both), {
    type: "object",
    properties: { a: { type: "string" }, b: { type: "string" } },
    required: ["a"],
  });
});

test("structural schema: a choice that a CRD cannot show is our own bug", () => {
  assert.throws(() => structuralSchema(z.union([z.string(), z.number()])));
});

test("restoreNulls: what a merge patch removed comes back as null, at every depth", () => {
  const structural = structuralSchema(schema);
  const read = { schemaVersion: 1, name: "n", rows: [{}, { note: "x" }], count: 0, other: {} };
  const restored = { ...read, place: null, rows: [{ note: null }, { note: "x" }] };
  assert.deepEqual(restoreNulls(structural, read), restored);
  assert.deepEqual(restoreNulls(structural, { place: {} }), { place: { row: null } });
  for (const other of [undefined, null, 7, "text"]) {
    assert.equal(restoreNulls(structural, other), other);
  }
});
