/** `spindle registry backup|restore`: a copy of what a fleet cannot do without, and a registry made of it. */
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { Command, InvalidArgumentError } from "commander";
import { formatTarget } from "../../adapters/registry/connect.js";
import { readBackup, writeBackup, type RegistryBackup } from "../../adapters/registry/backup/backup-file.js";
import {
  backUpRegistry,
  restoreRegistry,
  type RestoreOptions,
  type RestoreTarget,
} from "../../adapters/registry/backup/registry-backup.js";
import type { KnownFleet } from "../../adapters/registry/backup/revive.js";
import { fleetKey } from "../../adapters/registry/keys.js";
import { PortError } from "../../adapters/port-error.js";
import { openDocument } from "../../adapters/storage/document.js";
import { systemClock } from "../../adapters/system/clock.js";
import { parseDurable } from "../../runtime/agent-documents.js";
import { CliError } from "../exit.js";
import { addFleetOptions } from "../operator/flags.js";
import type { FleetFlags } from "../operator/open-fleet.js";
import { findFleet, type FleetPlace } from "../operator/place.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";

export function makeCommand(shell: Shell): Command {
  return new Command("registry")
    .description("back up the fleet's registry, or make one from a backup")
    .addCommand(makeBackup(shell))
    .addCommand(makeRestore(shell));
}

type Flags = FleetFlags & OutputOptions;

function makeBackup(shell: Shell): Command {
  const command = new Command("backup")
    .description("write all that cannot be made again into a file, while the registry runs")
    .argument("<file>", "is replaced as a whole, with mode 0600");
  return addOutputOptions(addFleetOptions(command)).action(async (file: string, flags: Flags) => {
    const place = await findFleet(flags.config, shell.env);
    const backup = await backUpRegistry(place.registry, systemClock.wallAt());
    await writeBackup(resolve(file), backup).catch(fileFault(file));
    const nodes = backup.items.filter(({ key }) => key.startsWith("roster/")).length;
    const result = { schemaVersion: 1, file: resolve(file), registry: place.registry.kind, nodes, revision: backup.revision };
    await printResult(shell.stdout, formatOf(flags), result, () => `${file} has ${nodes} nodes, as of revision ${backup.revision}`);
  });
}

interface RestoreFlags extends Flags {
  readonly seen: number;
  readonly state?: readonly string[];
  readonly sameRotation?: true;
}

function makeRestore(shell: Shell): Command {
  const command = new Command("restore")
    .description("fill an empty registry from a backup, so that it gives out nothing that a node may use already")
    .argument("<file>", "what `spindle registry backup` wrote")
    .option("--seen <revision>", "go on beyond this one: agents name it with REGISTRY_ROLLED_BACK", parseRevision, 0)
    .option("--state <files...>", "state.json of agents that ran when the registry was lost: the newest fleet record counts")
    .option("--same-rotation", "no rotation began, ended or was aborted since the backup was made")
    .addHelpText("after", help);
  return addOutputOptions(addFleetOptions(command)).action(async (file: string, flags: RestoreFlags) => {
    const place = await findFleet(flags.config, shell.env);
    const backup = await readBackup(resolve(file)).catch(fileFault(file));
    const known = await readStates(flags.state ?? []);
    checkFleetIsKnown(backup, known, flags.sameRotation === true);
    const nodes = await restore(place, backup, { known, seen: flags.seen }, shell);
    const { takenAt } = backup;
    const result = { schemaVersion: 1, file: resolve(file), registry: place.registry.kind, nodes, takenAt };
    await printResult(shell.stdout, formatOf(flags), result, () => `${nodes} nodes are on the roster, as of ${takenAt}`);
  });
}

const help = `
Stop the controllers first. A fleet record that is older than what agents know would take them back to a key that is
gone: give the state.json of one that ran until the end, or say that there was no rotation since.
 With the embedded registry --config is the file of the controller that keeps it.
Nodes that were admitted or began a new life after the backup was made are admitted anew.
Exit codes: 0 restored; 1 the registry is not empty or does not answer; 2 bad usage, or the file is no backup.`;

async function restore(
  place: FleetPlace,
  backup: RegistryBackup,
  what: Pick<RestoreOptions, "known" | "seen">,
  shell: Shell,
): Promise<number> {
  let doing = `restoring into ${formatTarget(place.registry)}`;
  const progress = startProgress({ stream: shell.stderr, lines: () => [doing] });
  try {
    return await restoreRegistry(restoreTargetOf(place), backup, { ...what, progress: (now) => (doing = now) });
  } finally {
    progress.stop();
  }
}

/** @throws CliError AGENT_STATE_UNREADABLE */
async function readStates(files: readonly string[]): Promise<readonly KnownFleet[]> {
  const known: KnownFleet[] = [];
  for (const file of files) {
    const sealed = await readFile(file, "utf8").catch(stateFault(file));
    const opened = openDocument(sealed);
    if (opened.kind !== "good") throw unreadableState(file, opened.kind === "corrupt" ? opened.why : "of a newer version");
    const durable = parseDurable(opened.text);
    if (!durable.ok) throw unreadableState(file, durable.error);
    if (durable.value.fleet !== null) known.push(durable.value.fleet);
  }
  return known;
}

function stateFault(file: string): (cause: unknown) => never {
  return (cause) => {
    throw unreadableState(file, cause instanceof Error ? cause.message : String(cause));
  };
}

function unreadableState(file: string, why: string): CliError {
  return new CliError({ exitCode: 2, code: "AGENT_STATE_UNREADABLE", message: `${file} is no agent's state.json: ${why}` });
}

/** @throws CliError BACKUP_FLEET_UNSURE */
function checkFleetIsKnown({ items }: RegistryBackup, known: readonly KnownFleet[], isSame: boolean): void {
  if (isSame || known.length > 0 || !items.some(({ key }) => key === fleetKey)) return;
  throw new CliError({
    exitCode: 2,
    code: "BACKUP_FLEET_UNSURE",
    message: "which key the fleet runs is as of the backup, and may have changed since",
    hint: "add --state with an agent's state.json, or --same-rotation when there was no rotation since",
  });
}

/** @throws CliError CONFIG_NOT_KEEPER */
function restoreTargetOf({ registry, config, file }: FleetPlace): RestoreTarget {
  if (registry.kind !== "embedded") return registry;
  if (config.kind === "controller" && config.config.registry.role === "serve") {
    return { kind: "embedded", stateDir: config.config.stateDir };
  }
  throw new CliError({
    exitCode: 2,
    code: "CONFIG_NOT_KEEPER",
    message: `${file} is not of the controller that keeps the embedded registry`,
    hint: "its state directory is what is filled: run this on its host, with its configuration",
  });
}

/** @throws CliError BACKUP_FILE_FAILED, or that it is no backup, with exit code 2 */
function fileFault(file: string): (cause: unknown) => never {
  return (cause) => {
    const isNone = cause instanceof PortError;
    const code = isNone ? cause.code : "BACKUP_FILE_FAILED";
    const message = `${file}: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new CliError({ exitCode: 2, code, message }, { cause });
  };
}

function parseRevision(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}
