/**
 * Finds, reads and checks configuration files. A file with anything wrong in it is refused as a
 * whole, with every problem named by file, line, column and field; nothing is guessed.
 */
import { open } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";
import type { z } from "zod";
import { limits } from "../../core/limits.js";
import { CliError } from "../exit.js";
import {
  agentSchema,
  checkAgent,
  toAgentConfig,
  warnAboutAgent,
  type AgentConfig,
} from "./agent.js";
import {
  checkController,
  controllerSchema,
  toControllerConfig,
  warnAboutController,
  type ControllerConfig,
} from "./controller.js";
import { checkHub, hubSchema, toHubConfig, type HubConfig } from "./gateway-hub.js";
import { checkSite, siteSchema, toSiteConfig, type SiteConfig } from "./gateway-site.js";
import { readDocument, type Problem, type YamlDocument } from "./document.js";
import { explainIssues, fieldSchemaOf } from "./problems.js";
import type { RegistryTarget } from "../../adapters/registry/connect.js";
import { targetOf } from "./registry.js";
import type { Remark } from "./sections.js";

export interface Loaded<Config> {
  /** As a full path. */
  readonly file: string;
  readonly config: Config;
  /** Accepted, but probably not what was meant; each names file, line and field. For the log. */
  readonly warnings: readonly string[];
}

/** Either program's file: what operator commands need to find their fleet. */
export type FleetConfig =
  | { readonly kind: "agent"; readonly config: AgentConfig }
  | { readonly kind: "controller"; readonly config: ControllerConfig };

/**
 * The configuration file to use: the one given, else the one that SPINDLE_CONFIG names.
 * @throws CliError CONFIG_NOT_GIVEN
 */
export function findConfig(
  given: string | undefined,
  env: Readonly<Record<string, string | undefined>> = process.env,
): string {
  const found = given ?? env["SPINDLE_CONFIG"];
  if (found !== undefined && found !== "") return found;
  throw new CliError({
    exitCode: 2,
    code: "CONFIG_NOT_GIVEN",
    message: "no configuration file was given",
    hint: "use --config FILE, or set SPINDLE_CONFIG",
  });
}

/** @throws CliError CONFIG_UNREADABLE, CONFIG_INVALID */
export async function loadAgentConfig(file: string): Promise<Loaded<AgentConfig>> {
  return parseConfig(file, await readConfigText(file), agentKind);
}

/** @throws CliError CONFIG_UNREADABLE, CONFIG_INVALID */
export async function loadControllerConfig(file: string): Promise<Loaded<ControllerConfig>> {
  return parseConfig(file, await readConfigText(file), controllerKind);
}

/** @throws CliError CONFIG_UNREADABLE, CONFIG_INVALID */
export async function loadFleetConfig(file: string): Promise<Loaded<FleetConfig>> {
  const text = await readConfigText(file);
  if (looksLikeAgent(text)) {
    const loaded = parseConfig(file, text, agentKind);
    return { ...loaded, config: { kind: "agent", config: loaded.config } };
  }
  const loaded = parseConfig(file, text, controllerKind);
  return { ...loaded, config: { kind: "controller", config: loaded.config } };
}

/** @throws CliError CONFIG_UNREADABLE, CONFIG_INVALID */
export async function loadHubConfig(file: string): Promise<Loaded<HubConfig>> {
  return parseConfig(file, await readConfigText(file), hubKind);
}

/** @throws CliError CONFIG_UNREADABLE, CONFIG_INVALID */
export async function loadSiteConfig(file: string): Promise<Loaded<SiteConfig>> {
  return parseConfig(file, await readConfigText(file), siteKind);
}

/** Where the registry of gateways is, from the file of a hub or of a site. */
export async function loadGatewayTarget(file: string): Promise<RegistryTarget> {
  const text = await readConfigText(file);
  if (hasField(text, "site")) return parseConfig(file, text, siteKind).config.registry;
  return targetOf(parseConfig(file, text, hubKind).config.registry);
}

/** Only an agent has a node. */
function looksLikeAgent(text: string): boolean {
  return hasField(text, "node");
}

function hasField(text: string, name: string): boolean {
  const { value } = readDocument(text);
  return typeof value === "object" && value !== null && name in value;
}

interface ConfigKind<Fields, Config> {
  readonly schema: z.ZodType<Fields>;
  /** What must not be; an empty list lets `convert` rely on the relations. */
  readonly check: (fields: Fields, folder: string) => readonly Remark[];
  readonly warn: (fields: Fields) => readonly Remark[];
  readonly convert: (fields: Fields, folder: string) => Config;
}

const agentKind = {
  schema: agentSchema,
  check: checkAgent,
  warn: warnAboutAgent,
  convert: toAgentConfig,
};

const controllerKind = {
  schema: controllerSchema,
  check: checkController,
  warn: warnAboutController,
  convert: toControllerConfig,
};

const hubKind = { schema: hubSchema, check: checkHub, warn: nothing, convert: toHubConfig };
const siteKind = { schema: siteSchema, check: checkSite, warn: nothing, convert: toSiteConfig };

function nothing(): readonly Remark[] {
  return [];
}

function parseConfig<Fields, Config>(
  file: string,
  text: string,
  kind: ConfigKind<Fields, Config>,
): Loaded<Config> {
  const folder = dirname(resolve(file));
  const document = readDocument(text);
  if (document.problems.length > 0) throw invalid(file, document.problems);
  const parsed = kind.schema.safeParse(document.value);
  if (!parsed.success) {
    throw invalid(file, explainIssues(parsed.error.issues, document, fieldSchemaOf(kind.schema)));
  }
  const problems = locate(kind.check(parsed.data, folder), document);
  if (problems.length > 0) throw invalid(file, problems);
  const warnings = locate(kind.warn(parsed.data), document);
  return {
    file: resolve(file),
    config: kind.convert(parsed.data, folder),
    warnings: warnings.map((warning) => formatProblem(file, warning)),
  };
}

function locate(remarks: readonly Remark[], document: YamlDocument): readonly Problem[] {
  return remarks.map((remark) => ({ ...remark, position: document.positionOf(remark.path) }));
}

function invalid(file: string, problems: readonly Problem[]): CliError {
  const inOrder = [...problems].sort((one, other) => one.position.line - other.position.line);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  return new CliError({
    exitCode: 2,
    code: "CONFIG_INVALID",
    message: `${shown(file)} has ${count}`,
    details: inOrder.map((problem) => formatProblem(file, problem)),
    hint: "docs/reference/configuration.md lists all fields; examples/ has a file for each program",
  });
}

function formatProblem(file: string, { path, position, message }: Problem): string {
  const subject = path.length === 0 ? "the file" : path.map(nameOf).join(".");
  return `${shown(file)}:${position.line}:${position.column}: ${subject} ${message}`;
}

/** Names that no field could have are not repeated: the file may be a key file. */
function nameOf(step: string | number): string {
  return /^[\w.-]{1,24}$/.test(String(step)) ? String(step) : "(a name that is none)";
}

/** The shorter of the two ways to name it. */
function shown(file: string): string {
  const short = relative(process.cwd(), resolve(file));
  return short.startsWith("..") ? resolve(file) : short;
}

async function readConfigText(file: string): Promise<string> {
  try {
    return await readBounded(file);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new CliError(
      { exitCode: 2, code: "CONFIG_UNREADABLE", message: `cannot read ${shown(file)}: ${reason}` },
      { cause },
    );
  }
}

/** Never more than the limit, whatever the file turns out to be. */
async function readBounded(file: string): Promise<string> {
  const handle = await open(file);
  const chunks: Buffer[] = [];
  for await (const chunk of handle.createReadStream({ end: limits.configBytesMax })) {
    chunks.push(chunk as Buffer);
  }
  const bytes = Buffer.concat(chunks);
  if (bytes.length <= limits.configBytesMax) return bytes.toString("utf8");
  throw new Error(`it is larger than ${limits.configBytesMax} bytes`);
}
