/**
 * From zod schemas to what a CRD takes: a structural OpenAPI v3 schema. Null is `nullable` there,
 * and a field that may be null need not be present: merge patches can only remove it.
 *
 * Invariant: no zod schema becomes stricter on the way, so what this version writes is taken.
 */
import { z } from "zod";
import { assert } from "../../../core/assert.js";

type JsonSchema = z.core.JSONSchema.BaseSchema;

export interface StructuralSchema {
  type: string;
  nullable?: true;
  properties?: Record<string, StructuralSchema>;
  required?: string[];
  items?: StructuralSchema;
  [keyword: string]: unknown;
}

/** Their meaning is the same in both. */
const keptKeywords = ["pattern", "format", "minimum", "maximum", "minLength", "maxLength"];
const keptListKeywords = ["minItems", "maxItems", "enum"];

export function structuralSchema(schema: z.ZodType): StructuralSchema {
  return convert(z.toJSONSchema(schema, { io: "input", unrepresentable: "throw" }));
}

function convert(schema: JsonSchema): StructuralSchema {
  if (schema.allOf !== undefined) return merged(schema.allOf.map(subschema).map(convert));
  if (schema.oneOf !== undefined) return choice(schema.oneOf.map(subschema));
  if (schema.anyOf !== undefined) return choice(schema.anyOf.map(subschema));
  const type: unknown = schema.type;
  if (Array.isArray(type)) return choice(type.map((one) => ({ ...schema, type: one as "null" })));
  assert(typeof type === "string", "every schema has one type");
  const result: StructuralSchema = { type };
  for (const keyword of [...keptKeywords, ...keptListKeywords]) {
    if (schema[keyword] !== undefined) result[keyword] = schema[keyword];
  }
  // A newer program may write a newer record; whoever reads it decides.
  if (schema.const === 1 || schema.enum?.[0] === 1) return { type: "integer", minimum: 1 };
  if (type === "integer" && schema.maximum === Number.MAX_SAFE_INTEGER) result["format"] = "int64";
  if (type === "array") result.items = convert(subschema(schema.items));
  if (type === "object") addProperties(result, schema);
  return result;
}

function addProperties(result: StructuralSchema, schema: JsonSchema): void {
  const properties = Object.entries(schema.properties ?? {});
  result.properties = Object.fromEntries(
    properties.map(([name, property]) => [name, convert(subschema(property))]),
  );
  const { properties: converted } = result;
  const required = (schema.required ?? []).filter((name) => converted[name]?.nullable !== true);
  if (required.length > 0) result.required = required;
}

function choice(choices: readonly JsonSchema[]): StructuralSchema {
  const others = choices.filter(({ type }) => type !== "null");
  const one = others.length === 1 && others[0] !== undefined ? convert(others[0]) : oneOf(others);
  return others.length < choices.length ? { ...one, nullable: true } : one;
}

/** Numbers that are named one by one, or objects: these get the fields of all, and what all require is required. */
function oneOf(choices: readonly JsonSchema[]): StructuralSchema {
  if (choices.every(({ const: value }) => typeof value === "number")) {
    return { type: "integer", enum: choices.map(({ const: value }) => value) };
  }
  const parts = choices.map(convert);
  assert(parts.length > 0 && parts.every(({ type }) => type === "object"), "a choice is between null, numbers or objects");
  const [first, ...rest] = parts.map(({ required }) => required ?? []);
  const required = (first ?? []).filter((name) => rest.every((names) => names.includes(name)));
  return { ...merged(parts), required };
}

function merged(parts: readonly StructuralSchema[]): StructuralSchema {
  return {
    type: "object",
    properties: Object.assign({}, ...parts.map(({ properties }) => properties)),
    required: parts.flatMap(({ required }) => required ?? []),
  };
}

function subschema(schema: unknown): JsonSchema {
  assert(typeof schema === "object" && schema !== null, "a schema is an object");
  return schema as JsonSchema;
}

/** Gives absent fields that may be null their null back, in place of what a merge patch removed. */
export function restoreNulls(schema: StructuralSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema;
    return items === undefined ? value : value.map((item) => restoreNulls(items, item));
  }
  if (typeof value !== "object" || value === null) return value;
  const restored: Record<string, unknown> = { ...value };
  for (const [name, property] of Object.entries(schema.properties ?? {})) {
    if (restored[name] !== undefined) restored[name] = restoreNulls(property, restored[name]);
    else if (property.nullable === true) restored[name] = null;
  }
  return restored;
}
