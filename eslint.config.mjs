/**
 * Lint: what the compiler lets through and the style forbids. Layers are kept apart by the
 * compiler's project references; the import rules here are the second net, and say why.
 */
import { defineConfig } from "eslint/config";
import tseslint from "typescript-eslint";

/** For each layer, the folders of src/ that it may import from besides itself. */
const layers = {
  core: [],
  ports: ["core"],
  runtime: ["core", "ports"],
  sim: ["core", "ports", "runtime"],
  modelcheck: ["core", "ports", "runtime", "sim"],
  adapters: ["core", "ports"],
  http: ["core", "ports"],
  lab: ["core", "ports", "runtime", "adapters"],
  dashboard: ["core", "sim"],
  cli: ["core", "ports", "runtime", "adapters", "http", "lab", "sim", "modelcheck", "dashboard"],
};
const pureLayers = ["core", "ports", "runtime", "sim", "modelcheck"];

const bannedSyntax = [
  { selector: "TSEnumDeclaration", message: "Use a union of strings instead of an enum." },
  { selector: "ExportDefaultDeclaration", message: "Export by name." },
  {
    selector: "ClassDeclaration[superClass]:not([superClass.name='Error'])",
    message: "No class hierarchies: a class only owns a resource.",
  },
  { selector: "TSParameterProperty", message: "Declare the field and assign it." },
  { selector: "Decorator", message: "No decorators." },
];

const bannedInPureLayers = [
  { selector: ":function[async=true]", message: "Pure layers are synchronous: take a callback." },
  { selector: "AwaitExpression", message: "Pure layers are synchronous." },
];

function layerRules(layer) {
  const foreign = Object.keys(layers).filter(
    (other) => other !== layer && !layers[layer].includes(other),
  );
  const patterns = [
    {
      regex: `(^|/)\\.\\./(.*/)?(${foreign.join("|")})/`,
      message: `src/${layer} may not import from there.`,
    },
  ];
  if (pureLayers.includes(layer)) {
    patterns.push({ regex: "^[^.]", message: `src/${layer} is pure: no packages and no Node.js.` });
  }
  const syntax = pureLayers.includes(layer)
    ? [...bannedSyntax, ...bannedInPureLayers]
    : bannedSyntax;
  return {
    files: [`src/${layer}/**/*.ts`],
    ignores: ["**/*.test.ts"],
    rules: {
      "no-restricted-imports": ["error", { patterns }],
      "no-restricted-syntax": ["error", ...syntax],
    },
  };
}

export default defineConfig(
  { ignores: ["dist/", "node_modules/"] },
  {
    files: ["**/*.ts"],
    languageOptions: {
      parser: tseslint.parser,
      parserOptions: { project: "tools/tsconfig.lint.json", tsconfigRootDir: import.meta.dirname },
    },
    plugins: { "@typescript-eslint": tseslint.plugin },
    linterOptions: { reportUnusedDisableDirectives: "error" },
    rules: {
      "@typescript-eslint/no-floating-promises": [
        "error",
        { allowForKnownSafeCalls: [testCalls()] },
      ],
      "@typescript-eslint/no-misused-promises": "error",
      "@typescript-eslint/await-thenable": "error",
      "@typescript-eslint/switch-exhaustiveness-check": [
        "error",
        { considerDefaultExhaustiveForUnions: true, requireDefaultForNonUnion: false },
      ],
      "@typescript-eslint/consistent-type-imports": ["error", { fixStyle: "inline-type-imports" }],
      "@typescript-eslint/no-explicit-any": "error",
      "@typescript-eslint/no-unnecessary-type-assertion": "error",
      "@typescript-eslint/prefer-readonly": "error",
      "@typescript-eslint/restrict-template-expressions": [
        "error",
        { allowNumber: true, allowBoolean: true },
      ],
      "@typescript-eslint/only-throw-error": "error",
      "no-restricted-syntax": ["error", ...bannedSyntax],
      "max-lines": ["error", { max: 400 }],
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-console": "error",
    },
  },
  ...Object.keys(layers).map(layerRules),
  {
    files: ["test/**/*.ts", "bench/**/*.ts"],
    rules: { "no-console": "off" },
  },
  {
    files: ["tools/**/*.mjs"],
    rules: {
      eqeqeq: "error",
      "no-var": "error",
      "prefer-const": "error",
      "no-unused-vars": "error",
      "no-undef": "error",
    },
    languageOptions: {
      globals: {
        process: "readonly",
        console: "readonly",
        URL: "readonly",
        performance: "readonly",
        ...timers(),
      },
    },
  },
);

/** Top-level `test(...)` returns a promise that the runner waits for. */
function testCalls() {
  return { from: "package", name: ["test", "describe", "it"], package: "node:test" };
}

function timers() {
  return {
    setTimeout: "readonly",
    clearTimeout: "readonly",
    setInterval: "readonly",
    clearInterval: "readonly",
  };
}
