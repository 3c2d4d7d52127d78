/** `spindle keyfile generate|next|validate|inspect FILE`. Its only job is the command line. */
import { Command, InvalidArgumentError, Option } from "commander";
import { generatedAlgorithms, type GeneratedAlgorithm } from "../../adapters/keyfile/generate.js";
import { parseKeyId, type KeyId, type KeyIdentity, type KeyRing } from "../../core/key-id.js";
import { CliError } from "../exit.js";
import { addNextKey, generateKeyFile, inspectKeyFile } from "../keyfile-operations.js";
import { formatKeyFileView, formatVerdict } from "../keyfile-view.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

/**
 * Asks the fleet for the newest key it runs; null without a fleet, or before its first key.
 * @param configPath what `--config` named, null to look where `SPINDLE_CONFIG` points
 */
export type FleetLookup = (configPath: string | null) => Promise<KeyIdentity | null>;

export function makeKeyfileCommand(shell: Shell, newestFleetKey: FleetLookup): Command {
  return new Command("keyfile")
    .description("make, extend and check key files; key bytes are never printed")
    .addCommand(makeGenerate(shell))
    .addCommand(makeNext(shell, newestFleetKey))
    .addCommand(makeValidate(shell))
    .addCommand(makeInspect(shell));
}

interface RingOption {
  readonly ring: KeyRing;
}

function fileCommand(name: string, description: string): Command {
  const command = new Command(name)
    .description(description)
    .argument("<file>", "the key file")
    .addOption(
      new Option("--ring <size>", "largest key id; 15 for a file that Cilium reads too")
        .argParser(parseRing)
        .default(255),
    );
  return addOutputOptions(command);
}

function parseRing(text: string): KeyRing {
  if (text === "255") return 255;
  if (text === "15") return 15;
  throw new InvalidArgumentError("Allowed choices are 255, 15.");
}

function parseNumber(text: string): number {
  if (/^\d{1,3}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("A key id is a whole number.");
}

function requireKeyId(option: string, value: number, ring: KeyRing): KeyId {
  const keyId = parseKeyId(value, ring);
  if (keyId.ok) return keyId.value;
  throw new CliError({ exitCode: 2, code: "BAD_USAGE", message: `${option}: ${keyId.error}` });
}

interface GenerateFlags extends OutputOptions, RingOption {
  readonly keyId: number;
  readonly algorithm: GeneratedAlgorithm;
  readonly force?: true;
}

function makeGenerate(shell: Shell): Command {
  return fileCommand("generate", "write a new key file with one key, mode 0600")
    .addOption(new Option("--key-id <id>", "its key id").argParser(parseNumber).default(1))
    .addOption(
      new Option("--algorithm <name>", "its algorithm")
        .choices(generatedAlgorithms)
        .default("aes-gcm-128"),
    )
    .option("--force", "replace a file that exists, and the keys in it")
    .action(async (path: string, flags: GenerateFlags) => {
      const keyId = requireKeyId("--key-id", flags.keyId, flags.ring);
      const force = flags.force === true;
      const view = await generateKeyFile({ path, keyId, algorithm: flags.algorithm, force });
      await printResult(shell.stdout, formatOf(flags), view, (wide) =>
        formatKeyFileView(view, shell.stdout, wide),
      );
    });
}

interface NextFlags extends OutputOptions, RingOption {
  readonly algorithm?: GeneratedAlgorithm;
  readonly fleetKeyId?: number;
  readonly config?: string;
  readonly printKeyId?: true;
  readonly force?: true;
}

function makeNext(shell: Shell, newestFleetKey: FleetLookup): Command {
  return fileCommand("next", "add the next key, and keep the one the fleet runs before it")
    .addOption(
      new Option("--algorithm <name>", "of the new key, if not the one of the newest key").choices(
        generatedAlgorithms,
      ),
    )
    .option("--config <file>", "configuration that says where the fleet is")
    .addOption(
      new Option("--fleet-key-id <id>", "the key id the fleet runs, instead of asking it")
        .argParser(parseNumber)
        .conflicts("config"),
    )
    .option("--print-key-id", "print the new key id and nothing else")
    .option("--force", "even if the newest key of the file is not the newest of the fleet")
    .action(async (path: string, flags: NextFlags) => {
      const result = await addNextKey({
        path,
        ring: flags.ring,
        algorithm: flags.algorithm ?? null,
        force: flags.force === true,
        fleetKey: fleetKeyOf(flags, newestFleetKey),
      });
      await printResult(shell.stdout, formatOf(flags), result, (wide) =>
        flags.printKeyId === true
          ? String(result.keyId)
          : formatKeyFileView(result, shell.stdout, wide),
      );
    });
}

function fleetKeyOf(
  flags: NextFlags,
  newestFleetKey: FleetLookup,
): Parameters<typeof addNextKey>[0]["fleetKey"] {
  if (flags.fleetKeyId === undefined) return () => newestFleetKey(flags.config ?? null);
  const keyId = requireKeyId("--fleet-key-id", flags.fleetKeyId, flags.ring);
  return () => Promise.resolve({ keyId, check: null });
}

function makeValidate(shell: Shell): Command {
  return fileCommand("validate", "check a file; exit 1 if no agent would take it, 2 if it is bad")
    .action(async (path: string, flags: OutputOptions & RingOption) => {
      const view = await inspectKeyFile(path, flags.ring);
      if (!view.runs) shell.exitWith(1);
      await printResult(shell.stdout, formatOf(flags), view, () => formatVerdict(view));
    });
}

function makeInspect(shell: Shell): Command {
  return fileCommand("inspect", "show ids, algorithms, check values and permissions, never a key")
    .action(async (path: string, flags: OutputOptions & RingOption) => {
      const view = await inspectKeyFile(path, flags.ring);
      await printResult(shell.stdout, formatOf(flags), view, (wide) =>
        formatKeyFileView(view, shell.stdout, wide),
      );
    });
}
