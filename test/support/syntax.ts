/**
 * Questions about a TypeScript source that text search would answer wrongly, because of comments
 * and strings.
 */
import ts from "typescript";

/** Calls `visit` with every node of the source. */
function walk(source: string, visit: (node: ts.Node) => void): void {
  const step = (node: ts.Node): void => {
    visit(node);
    ts.forEachChild(node, step);
  };
  step(ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, true));
}

const impureNames: ReadonlySet<string> = new Set([
  "Date",
  "Intl",
  "WeakRef",
  "FinalizationRegistry",
  "Promise",
  "performance",
]);

/** What a pure layer must not use, and the compiler lets through, as `line: name`. */
export function findImpurities(source: string): readonly string[] {
  const found: string[] = [];
  walk(source, (node) => {
    const name = impurityOf(node);
    if (name === null) return;
    const { line } = node.getSourceFile().getLineAndCharacterOfPosition(node.getStart());
    found.push(`${line + 1}: ${name}`);
  });
  return found;
}

function impurityOf(node: ts.Node): string | null {
  if (ts.isIdentifier(node)) return impureNames.has(node.text) ? node.text : null;
  if (ts.isPropertyAccessExpression(node))
    return node.getText() === "Math.random" ? "Math.random" : null;
  if (node.kind === ts.SyntaxKind.AsyncKeyword) return "async";
  return node.kind === ts.SyntaxKind.AwaitKeyword || ts.isAwaitExpression(node) ? "await" : null;
}

/**
 * Error codes that the source can give: upper-case words joined by `_`, wherever they stand as a
 * text, and single words under `code`. Names of environment variables are looked up with `[…]`;
 * codes of the system (`ENOENT`) and of Node.js (`ERR_…`) are documented elsewhere.
 */
export function findErrorCodes(source: string): readonly string[] {
  const found = new Set<string>();
  walk(source, (node) => {
    if (!ts.isStringLiteralLike(node) || ts.isElementAccessExpression(node.parent)) return;
    const isCode = ts.isPropertyAssignment(node.parent) && node.parent.name.getText() === "code";
    const pattern = isCode ? /^[A-Z][A-Z0-9_]+$/ : /^[A-Z][A-Z0-9]*(_[A-Z0-9]+)+$/;
    if (pattern.test(node.text) && !/^(ERR_.*|E[A-Z0-9]+)$/.test(node.text)) found.add(node.text);
  });
  return [...found];
}

/** Only imports, types and interfaces: nothing that runs. */
export function isTypesOnly(source: string): boolean {
  const file = ts.createSourceFile("source.ts", source, ts.ScriptTarget.Latest, true);
  return file.statements.every(
    (statement) =>
      ts.isImportDeclaration(statement) ||
      ts.isExportDeclaration(statement) ||
      ts.isInterfaceDeclaration(statement) ||
      ts.isTypeAliasDeclaration(statement),
  );
}
