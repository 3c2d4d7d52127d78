/**
 * A YAML file as a plain value that still knows where each part of it stands. Nothing here ever
 * quotes a value of the file: someone may point `--config` at a key file.
 */
import { isMap, isPair, isSeq, LineCounter, parseDocument, visit } from "yaml";
import type { Document, Node } from "yaml";

export interface Position {
  /** Counted from 1. */
  readonly line: number;
  readonly column: number;
}

export type FieldPath = readonly (string | number)[];

/** One thing wrong with a file. `path` is empty for what concerns it as a whole. */
export interface Problem {
  readonly path: FieldPath;
  readonly position: Position;
  readonly message: string;
}

export interface YamlDocument {
  readonly value: unknown;
  /** What keeps the text from being one YAML document. */
  readonly problems: readonly Problem[];
  /** Where the field stands; for one that is absent, where the mapping does that should have it. */
  positionOf(path: FieldPath): Position;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** A value that is `${NAME}` and nothing else is that environment variable, as text. */
const variablePattern = /^\$\{([A-Z_][A-Z0-9_]*)\}$/;

export function readDocument(text: string, env: Environment = process.env): YamlDocument {
  const lines = new LineCounter();
  const document = parseDocument(text, { prettyErrors: false, lineCounter: lines });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const problems = [...document.errors, ...document.warnings].map((error): Problem => {
    return { path: [], position: at(error.pos[0]), message: describeSyntax(error.message) };
  });
  for (const { name, offset } of problems.length === 0 ? substitute(document, env) : []) {
    const message = `names the environment variable ${name}, which is not set`;
    problems.push({ path: [], position: at(offset), message });
  }
  const value = problems.length === 0 ? toValue(document, problems) : undefined;
  return { value, problems, positionOf: (path) => at(offsetOf(document, path)) };
}

/** @returns the variables that are not set, and where they are named */
function substitute(
  document: Document,
  env: Environment,
): readonly { readonly name: string; readonly offset: number }[] {
  const missing: { name: string; offset: number }[] = [];
  visit(document, {
    Scalar: (key, node) => {
      const name = variablePattern.exec(String(node.value))?.[1];
      if (name === undefined || key === "key") return;
      const value = env[name];
      if (value === undefined || value === "") missing.push({ name, offset: node.range?.[0] ?? 0 });
      else node.value = value;
    },
  });
  return missing;
}

/** Aliases are resolved only here, so a bad one is found only here. */
function toValue(document: Document, problems: Problem[]): unknown {
  try {
    return document.toJS();
  } catch {
    const message = "has an alias without its anchor, or too many aliases";
    problems.push({ path: [], position: { line: 1, column: 1 }, message });
    return undefined;
  }
}

/**
 * The library's words, without what it quotes from the file after a colon and without the name of
 * its API.
 */
function describeSyntax(message: string): string {
  return `is not one YAML document: ${message.replace(/(; please use|: ).*$/s, "")}`;
}

function offsetOf(document: Document, path: FieldPath): number {
  let offset = 0;
  let node: unknown = document.contents;
  for (const step of path) {
    const found = findChild(node, step);
    if (found === null) return offset;
    offset = found.offset;
    node = found.value;
  }
  return offset;
}

interface Child {
  /** Of the key in a mapping, of the item in a list. */
  readonly offset: number;
  readonly value: unknown;
}

function findChild(node: unknown, step: string | number): Child | null {
  if (isSeq(node) && typeof step === "number") {
    const item = node.items[step] as Node | undefined;
    return item === undefined ? null : { offset: item.range?.[0] ?? 0, value: item };
  }
  if (!isMap(node)) return null;
  const pair = node.items.find((item) => isPair(item) && String(item.key) === String(step));
  return pair === undefined
    ? null
    : { offset: (pair.key as Node).range?.[0] ?? 0, value: pair.value };
}
