/**
 * Rules of the repository that neither the compiler nor the linter checks. Each message says what
 * to do.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { listFiles, readFile, root } from "./support/repository.js";
import { findErrorCodes, findImpurities, isTypesOnly } from "./support/syntax.js";

const files = listFiles();
const sources = files.filter((file) => file.startsWith("src/") && file.endsWith(".ts"));
const shipped = sources.filter((file) => !file.endsWith(".test.ts"));
const code = files.filter((file) => /\.(ts|mjs|svelte|css)$/.test(file));
const texts = files.filter((file) => !/\.(png|svg|ico|woff2?)$/.test(file));

/** Fails with one line per finding. */
function assertNone(findings: readonly string[], rule: string): void {
  assert.ok(findings.length === 0, `${rule}\n  ${findings.join("\n  ")}`);
}

function findLines(paths: readonly string[], pattern: RegExp): readonly string[] {
  return paths.flatMap((path) =>
    readFile(path)
      .split("\n")
      .flatMap((line, index) =>
        pattern.test(line) ? [`${path}:${index + 1}: ${line.trim().slice(0, 100)}`] : [],
      ),
  );
}

test("tidy: pure layers take time and chance as arguments and never wait", () => {
  const pure = shipped.filter((file) => /^src\/(core|ports|runtime|sim|modelcheck)\//.test(file));
  assert.ok(pure.length > 0);
  const findings = pure.flatMap((file) =>
    findImpurities(readFile(file)).map((found) => `${file}:${found}`),
  );
  assertNone(
    findings,
    "not in a pure layer (style, rule 1): use the clock, the prng or a callback",
  );
});

test("tidy: the check for impurities finds each kind, and not in comments or texts", () => {
  const impure = [
    "const a = Date.now();",
    "const b = Math.random();",
    "const c = new Intl.Collator();",
    "const d = new WeakRef({});",
    "async function e() {}",
    "const f = async () => { await e(); };",
    "let g: Promise<void>;",
    "for await (const h of []) {}",
  ];
  for (const line of impure) assert.notDeepEqual(findImpurities(line), [], line);
  const pure = [
    "// Date.now()",
    'const a = "async await Promise";',
    "const b = Math.floor(1);",
    "const nextDate = 1;",
  ];
  for (const line of pure) assert.deepEqual(findImpurities(line), [], line);
});

test("tidy: code files have at most 400 lines", () => {
  const long = code
    .map((file) => ({ file, lines: readFile(file).split("\n").length - 1 }))
    .filter(({ lines }) => lines > 400)
    .map(({ file, lines }) => `${file} has ${lines}`);
  assertNone(long, "split by what changes together");
});

test("tidy: every source opens with what it is for", () => {
  const bare = shipped.filter((file) => {
    const source = readFile(file);
    return (
      !/^(#!.*\n)?\/\*\*/.test(source) && !(isTypesOnly(source) && source.split("\n").length < 60)
    );
  });
  assertNone(bare, "begin with a comment: job, invariant, what it does not do (style, rule 13)");
});

// In parts, so that this file does not match itself.
const unfinishedMark = new RegExp(`\\b(${["TO" + "DO", "FIX" + "ME", "X" + "XX"].join("|")})\\b`);
const machinePath = new RegExp(
  ["/wo" + "rk/", "/tmp/bash" + "_jobs", "npm" + "js\\.org"].join("|"),
);

test("tidy: nothing is marked as unfinished", () => {
  assertNone(findLines(texts, unfinishedMark), "finish it, or open an issue");
});

test("tidy: no path or host of one machine is mentioned", () => {
  assertNone(findLines(texts, machinePath), "the repository must read the same everywhere");
});

test("tidy: no test is left out or alone", () => {
  const tests = files.filter((file) => file.endsWith(".test.ts"));
  assertNone(
    findLines(tests, /\b(test|it|describe)\.(only|skip|todo)\(|\bonly: true/),
    "run it or remove it",
  );
});

test("tidy: the lock file names no host to download from", () => {
  assertNone(
    findLines(["package-lock.json"], /"resolved"/),
    "npm install --omit-lockfile-registry-resolved",
  );
});

const packageFile = JSON.parse(readFile("package.json")) as {
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
};

test("tidy: dependencies are pinned to one version", () => {
  const all = { ...packageFile.dependencies, ...packageFile.devDependencies };
  const loose = Object.entries(all).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
  assertNone(
    loose.map(([name, version]) => `${name} ${version}`),
    "pin the exact version",
  );
});

/** It exports nothing: it adds to the language, which @peculiar/x509 needs to load. */
const polyfill = "reflect-metadata";

for (const name of Object.keys(packageFile.dependencies)) {
  test(`tidy: ${name} loads on Node.js ${process.versions.node}`, async () => {
    await import(polyfill);
    const loaded = (await import(name)) as object;
    assert.ok(name === polyfill || Object.keys(loaded).length > 0);
  });
}

const errorReference = "docs/reference/errors.md";

test("tidy: every error code is documented, and no other", () => {
  const given = new Map<string, string>();
  for (const file of shipped)
    for (const found of findErrorCodes(readFile(file))) given.set(found, file);
  assert.ok(given.size > 0);
  assert.ok(
    existsSync(join(root, errorReference)),
    `${errorReference} is missing; codes: ${[...given.keys()].join(", ")}`,
  );
  // The kernel's own codes (`EEXIST`) are compared beside their table, in errno.test.ts.
  const rows = [...readFile(errorReference).matchAll(/^(?:\| |#+ )`([A-Z][A-Z0-9_]+)`/gm)]
    .map((match) => match[1] ?? "")
    .filter((row) => !/^E[A-Z0-9]+$/.test(row));
  const missing = [...given]
    .filter(([found]) => !rows.includes(found))
    .map(([found, file]) => `${found} (${file})`);
  assertNone(
    missing,
    `add to ${errorReference} a row | \`CODE\` | meaning | what the operator should do |`,
  );
  assertNone(
    rows.filter((row) => !given.has(row)),
    `remove from ${errorReference} what no source gives any more`,
  );
});

test("tidy: the search for error codes sees them in every place", () => {
  const found = [
    'throw new PortError("REGISTRY_CLOSED", "closed", false);',
    'const failure = { code: "REFUSED", message: "" };',
    'const failure = { code: full ? "ROSTER_FULL" : "ROSTER_GONE" };',
    'return failWith("KEY_FILE_EMPTY", line);',
  ];
  const codes = found.flatMap((line) => findErrorCodes(line));
  assert.deepEqual(codes, [
    "REGISTRY_CLOSED",
    "REFUSED",
    "ROSTER_FULL",
    "ROSTER_GONE",
    "KEY_FILE_EMPTY",
  ]);
  const others = [
    'if (error.code === "ENOENT") return;',
    'const failure = { code: "EEXIST" };',
    'process.env["SPINDLE_CONFIG"];',
    "// NOT_A_CODE",
    'log("NOTHING");',
  ];
  for (const line of others) assert.deepEqual(findErrorCodes(line), [], line);
});

test("tidy: links between the pages lead somewhere", () => {
  const pages = files.filter((file) => file.endsWith(".md"));
  const broken = pages.flatMap((page) =>
    [...readFile(page).matchAll(/\]\(([^)#:\s]+)(#[^)]*)?\)/g)]
      .map((match) => match[1] ?? "")
      .filter((target) => !existsSync(join(root, dirname(page), target)))
      .map((target) => `${page} -> ${target}`),
  );
  assertNone(broken, "mend the link");
});
