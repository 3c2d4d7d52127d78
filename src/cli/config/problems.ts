/**
 * Says what is wrong with a configuration in words of its fields: what was expected, which names
 * exist, which one was probably meant. Read from the JSON Schema of the fields, so that no message
 * has to be kept in step by hand.
 */
import { z } from "zod";
import type { FieldPath, Problem, YamlDocument } from "./document.js";

/** The part of JSON Schema that our schemas make. */
export interface FieldSchema {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly properties?: Readonly<Record<string, FieldSchema>>;
  /** Of each entry of a list. */
  readonly items?: FieldSchema;
}

/** The schema of what may stand in the file. */
export function fieldSchemaOf(schema: z.ZodType): FieldSchema {
  return z.toJSONSchema(schema, { io: "input" }) as FieldSchema;
}

/** Dotted paths of all fields, in the order of the schema; a mapping comes before what is in it. */
export function fieldPaths(schema: FieldSchema, prefix = ""): readonly string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, field]) => [
    `${prefix}${name}`,
    ...fieldPaths(field, `${prefix}${name}.`),
  ]);
}

export function explainIssues(
  issues: readonly z.core.$ZodIssue[],
  document: YamlDocument,
  schema: FieldSchema,
): readonly Problem[] {
  return issues.flatMap((issue) => {
    const path = issue.path.map((step) => (typeof step === "symbol" ? String(step) : step));
    const faults =
      issue.code === "unrecognized_keys"
        ? unknownFields(issue.keys, path, schema)
        : [{ path, message: explain(issue, path, document, schema) }];
    return faults.map((fault) => ({ ...fault, position: document.positionOf(fault.path) }));
  });
}

function explain(
  issue: z.core.$ZodIssue,
  path: FieldPath,
  document: YamlDocument,
  schema: FieldSchema,
): string {
  if (issue.code === "custom") return issue.message;
  const expected = describeField(schemaAt(schema, path));
  return valueAt(document.value, path) === undefined
    ? `is missing: ${expected}`
    : `must be ${expected}`;
}

function unknownFields(
  keys: readonly string[],
  path: FieldPath,
  schema: FieldSchema,
): readonly Omit<Problem, "position">[] {
  const names = Object.keys(schemaAt(schema, path)?.properties ?? {});
  return keys.map((key) => {
    const meant = nearestName(key, names);
    const guess = meant === null ? "" : `; did you mean ${meant}?`;
    return {
      path: [...path, key],
      message: `is no field here${guess} (fields: ${names.join(", ")})`,
    };
  });
}

function schemaAt(schema: FieldSchema, path: FieldPath): FieldSchema | undefined {
  return path.reduce<FieldSchema | undefined>((at, step) => at?.properties?.[step] ?? at?.items, schema);
}

function valueAt(value: unknown, path: FieldPath): unknown {
  return path.reduce<unknown>((at, step) => (at as Record<string, unknown> | null)?.[step], value);
}

/** What may stand in a field, as it reads after "must be". */
export function describeField(schema: FieldSchema | undefined): string {
  if (schema?.description !== undefined) return schema.description;
  if (schema?.const !== undefined) return String(schema.const);
  if (schema?.enum !== undefined) return `one of ${schema.enum.join(", ")}`;
  if (schema?.properties !== undefined) {
    return `a mapping with the fields ${Object.keys(schema.properties).join(", ")}`;
  }
  if (schema?.type === "boolean") return "true or false";
  if (schema?.type === "integer") return `a whole number${describeRange(schema)}`;
  if (schema?.type === "number") return `a number${describeRange(schema)}`;
  return "text";
}

function describeRange({ minimum, maximum }: FieldSchema): string {
  return minimum === undefined || maximum === undefined ? "" : ` from ${minimum} to ${maximum}`;
}

/** The name that differs least, if it is close enough to be a slip. */
export function nearestName(name: string, names: readonly string[]): string | null {
  const ranked = names
    .map((candidate) => ({
      candidate,
      distance: editDistance(name.toLowerCase(), candidate.toLowerCase()),
    }))
    .sort((one, other) => one.distance - other.distance);
  const best = ranked[0];
  return best !== undefined && best.distance <= Math.max(1, Math.floor(name.length / 3))
    ? best.candidate
    : null;
}

/** Levenshtein's distance, one row at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (const [line, letter] of [...from].entries()) {
    const next = [line + 1];
    for (let column = 1; column <= to.length; column++) {
      const replaced = (row[column - 1] ?? 0) + (letter === to[column - 1] ? 0 : 1);
      next.push(Math.min(replaced, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}
