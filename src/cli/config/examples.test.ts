/**
 * The annotated examples and the reference page are complete and true: they are read, not trusted.
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parse } from "yaml";
import { limits } from "../../core/limits.js";
import { faultOf, printFault } from "../exit.js";
import { agentSchema } from "./agent.js";
import { controllerSchema } from "./controller.js";
import { hubSchema } from "./gateway-hub.js";
import { siteSchema } from "./gateway-site.js";
import { loadAgentConfig, loadControllerConfig, loadHubConfig, loadSiteConfig } from "./load.js";
import { fieldPaths, fieldSchemaOf } from "./problems.js";

const root = new URL("../../../../", import.meta.url);
const agentExample = fileURLToPath(new URL("examples/agent.yaml", root));
const controllerExample = fileURLToPath(new URL("examples/controller.yaml", root));
const hubExample = fileURLToPath(new URL("examples/gateway-hub.yaml", root));
const siteExample = fileURLToPath(new URL("examples/gateway-site.yaml", root));
const reference = readFileSync(new URL("docs/reference/configuration.md", root), "utf8");

test("examples: all load without a warning", async () => {
  assert.deepEqual((await loadAgentConfig(agentExample)).warnings, []);
  assert.deepEqual((await loadControllerConfig(controllerExample)).warnings, []);
  assert.deepEqual((await loadHubConfig(hubExample)).warnings, []);
  assert.deepEqual((await loadSiteConfig(siteExample)).warnings, []);
});

const schemas = [
  { file: agentExample, schema: agentSchema, section: "Agent" },
  { file: controllerExample, schema: controllerSchema, section: "Controller" },
  { file: hubExample, schema: hubSchema, section: "Gateway hub" },
  { file: siteExample, schema: siteSchema, section: "Gateway site" },
] as const;

for (const { file, schema, section } of schemas) {
  const paths = fieldPaths(fieldSchemaOf(schema));

  test(`examples: the ${section.toLowerCase()}'s shows every field, the alternatives as comments`, () => {
    const shown = new Set(pathsOf(parse(uncomment(readFileSync(file, "utf8")))));
    assert.deepEqual(
      paths.filter((path) => !shown.has(path)),
      [],
    );
  });

  test(`reference: the ${section.toLowerCase()}'s table has a row for every field and no other`, () => {
    const rows = [...sectionOf(section).matchAll(/^\| `([\w.]+)` \|/gm)].map((match) => match[1]);
    assert.deepEqual(rows, paths);
  });
}

test("examples: what has a default shows it, agent", () => {
  const agent = agentSchema.parse(parse(readFileSync(agentExample, "utf8")));
  const { schemaVersion, node, stateDir, registry, keyFile, dataplane } = agent;
  const smallest = agentSchema.parse({
    schemaVersion,
    node,
    stateDir,
    registry: { socket: registry.socket },
    keyFile: { path: keyFile.path },
    dataplane: { socket: dataplane.socket },
  });
  // Defaults that depend on other fields.
  const max = smallest.rotation.duration / 2;
  const lease = { duration: limits.leaseMsDefault };
  assert.deepEqual(agent, { ...smallest, jitter: { ...smallest.jitter, max }, lease });
});

test("examples: what has a default shows it, controller", () => {
  const controller = controllerSchema.parse(parse(readFileSync(controllerExample, "utf8")));
  const { schemaVersion, name, stateDir, registry } = controller;
  const smallest = controllerSchema.parse({
    schemaVersion,
    name,
    stateDir,
    registry: { listen: registry.listen },
  });
  const jitterMax = smallest.rotation.duration / 2;
  assert.deepEqual(controller, { ...smallest, preflight: { ...smallest.preflight, jitterMax } });
});

test("examples: what has a default shows it, gateway hub", () => {
  const hub = hubSchema.parse(parse(readFileSync(hubExample, "utf8")));
  const { schemaVersion, name, stateDir, registry, links } = hub;
  const smallest = hubSchema.parse({
    schemaVersion,
    name,
    stateDir,
    registry: { listen: registry.listen },
    links: links?.map(({ pairs: _, ...link }) => link),
  });
  assert.deepEqual(hub, smallest);
});

test("examples: what has a default shows it, gateway site", () => {
  const written = parse(readFileSync(siteExample, "utf8")) as Record<string, unknown>;
  const { schemaVersion, site, stateDir, registry, links } = written;
  const { socket } = registry as { socket: string };
  assert.deepEqual(siteSchema.parse(written), siteSchema.parse({ schemaVersion, site, stateDir, registry: { socket }, links }));
});

test("reference: the faults shown are the ones that are printed", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "spindle-reference-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "agent.yaml");
  const wrong = readFileSync(agentExample, "utf8")
    .replace("udpPort:", "udpport:")
    .replace("coordination: barrier", "coordination: no");
  writeFileSync(file, wrong);
  const printed: string[] = [];
  const cause: unknown = await loadAgentConfig(file).catch((error: unknown) => error);
  printFault(faultOf(cause), { write: (text: string) => printed.push(text) > 0 }, false);
  const shown = printed.join("").replaceAll(file, "agent.yaml");
  assert.ok(reference.includes(shown), shown);
});

function sectionOf(title: string): string {
  const [, after = ""] = reference.split(`\n## ${title}\n`);
  return after.split("\n## ")[0] ?? "";
}

/** Alternatives are commented out where they would stand, indented as the fields beside them. */
function uncomment(text: string): string {
  return text.replaceAll(/^( +)# ( *\w+:)/gm, "$1$2");
}

function pathsOf(value: unknown, prefix = ""): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => [
    `${prefix}${name}`,
    ...pathsOf(inner, `${prefix}${name}.`),
  ]);
}
