/** `spindle rotate`: moves the fleet to the next key, or says whether that would go well. */
import { Command, Option } from "commander";
import { CliError } from "../exit.js";
import { systemClock } from "../../adapters/system/clock.js";
import { untilOffered, writeKey } from "../operator/distribute-key.js";
import { addFleetOptions, durationOption } from "../operator/flags.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { followRotation, type FollowOptions } from "../operator/follow.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { checkFleet, preflightExitCode } from "../operator/preflight.js";
import { formatPreflight } from "../operator/preflight-text.js";
import { askController, makeRequest, refusal } from "../operator/request.js";
import { distributed, endWith, resultOf } from "../operator/rotation-result.js";
import { rotateCompromised } from "../operator/standing.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

export interface RotateFlags extends FleetFlags, OutputOptions {
  readonly wait?: true;
  readonly timeout: number;
  readonly reason: string;
  readonly dryRun?: true;
  readonly compromised?: true;
  readonly yes?: true;
  readonly secret?: string;
  readonly secretFile: string;
}

export function makeCommand(shell: Shell): Command {
  const command = new Command("rotate")
    .description("move the fleet to the newest key that the nodes' key files offer")
    .option("--wait", "show progress until the rotation ends; interrupting it only detaches")
    .addOption(durationOption("--timeout <duration>", "how long --wait waits", 600_000, "10m"))
    .option("--reason <text>", "why, for the record of the rotation", "asked for by an operator")
    .option("--dry-run", "only the pre-flight check: exit 3 when the rotation does not fit")
    .option("--compromised", "the current key leaked: no jitter, and it goes at the deadline")
    .option("--yes", "confirm --compromised")
    .addOption(
      new Option("--secret <name>", "write the next key into this Secret first; on Kubernetes").conflicts([
        "dryRun",
        "compromised",
      ]),
    )
    .option("--secret-file <name>", "name of the key file in the Secret", "keys");
  return addOutputOptions(addFleetOptions(command)).action(async (flags: RotateFlags) => {
    if (flags.compromised === true && flags.dryRun !== true && flags.yes !== true)
      throw unconfirmed();
    await withFleet(flags, shell, (fleet) => run(fleet, flags, shell));
  });
}

function unconfirmed(): CliError {
  return new CliError({
    exitCode: 2,
    code: "CONFIRMATION_NEEDED",
    message: "--compromised needs --yes",
    details: [
      "no jitter: all nodes act at once, which loads the registry",
      "the current key is deleted at the emergency deadline (30s by default), ready or not",
      "nodes that have not taken up the new key by then lose their traffic until they do",
    ],
    hint: "add --yes if the key has leaked; without --compromised nothing is lost",
  });
}

async function run(fleet: FleetWatch, flags: RotateFlags, shell: Shell): Promise<void> {
  const isPairwise = fleet.place.coordination === "pairwise";
  if (isPairwise && (flags.compromised !== true || flags.dryRun === true)) throw pairwiseRefusal();
  if (flags.dryRun === true) return showPreflight(fleet, flags, shell);
  if (flags.secret !== undefined) return rotateBySecret(fleet, flags.secret, flags, shell);
  return isPairwise ? rotateCompromised(fleet, flags, shell) : rotate(fleet, flags, shell);
}

/** The next key into the Secret; with `--wait` also the rotation to it, within one time-out. */
async function rotateBySecret(fleet: FleetWatch, secret: string, flags: RotateFlags, shell: Shell): Promise<void> {
  const before = fleet.fleet;
  const rotation = before?.rotation ?? 0;
  const startedMs = systemClock.nowMs();
  const keyId = await writeKey(fleet, secret, flags.secretFile);
  shell.stderr.write(`key ${keyId} is in Secret ${secret}; nodes read it within a minute or so\n`);
  const keys = { from: before?.current?.keyId ?? null, to: keyId };
  if (flags.wait !== true) return endWith(distributed(keys, "distributed"), fleet, flags, shell);
  const options = { shell, signal: shell.interrupted(), timeoutMs: flags.timeout };
  const waited = await untilOffered(fleet, keyId, rotation, options);
  if (waited.kind !== "reached") return endWith(distributed(keys, "detached"), fleet, flags, shell);
  const timeout = Math.max(0, flags.timeout - (systemClock.nowMs() - startedMs));
  return rotate(fleet, { ...flags, timeout }, shell, rotation);
}

function pairwiseRefusal(): CliError {
  return new CliError({
    exitCode: 2,
    code: "PAIRWISE_NEEDS_NO_ORDER",
    message: "in pairwise coordination agents start by themselves when their key file changes",
    details: ["make the next key with spindle keyfile next, and distribute the file"],
    hint: "spindle status --watch follows them; only --compromised is an order here",
  });
}

async function showPreflight(fleet: FleetWatch, flags: RotateFlags, shell: Shell): Promise<void> {
  const result = checkFleet(fleet, flags.compromised === true);
  shell.exitWith(preflightExitCode(result));
  await printResult(shell.stdout, formatOf(flags), result, () =>
    formatPreflight(result, shell.stdout),
  );
}

/** @param before with `--wait`, one after this count of rotations is followed to its end, whoever started it */
async function rotate(
  fleet: FleetWatch,
  flags: RotateFlags,
  shell: Shell,
  before: number | null = null,
): Promise<void> {
  const compromised = flags.compromised === true ? leakedKey(fleet) : null;
  const request = makeRequest({ kind: "rotate", reason: flags.reason, compromised, abort: null });
  const signal = shell.interrupted();
  const { answer, record } = await askController(fleet, request, signal);
  const isRunning = record.phase !== "steady" && record.phase !== "aborting";
  const isAwaited = isRunning || (before !== null && record.rotation > before);
  const mayJoin = flags.wait === true && compromised === null && isAwaited;
  const hint = isRunning ? "spindle rotate --wait follows the running rotation" : null;
  if (!answer.accepted && !mayJoin) throw refusal("the rotation", answer, hint);
  shell.stderr.write(`${answer.why}${answer.accepted ? "" : "; following it"}\n`);
  if (flags.wait !== true) return endWith(resultOf("rotate", record, null), fleet, flags, shell);
  const options: FollowOptions = { shell, signal, timeoutMs: flags.timeout };
  const followed = await followRotation(fleet, record, options);
  await endWith(resultOf("rotate", record, followed), fleet, flags, shell);
}

function leakedKey({ fleet }: FleetWatch): NonNullable<FleetWatch["fleet"]>["current"] {
  const current = fleet?.current ?? null;
  if (current !== null) return current;
  throw new CliError({
    exitCode: 1,
    code: "REQUEST_REFUSED",
    message: "the fleet has no key yet, so none that leaked",
  });
}
