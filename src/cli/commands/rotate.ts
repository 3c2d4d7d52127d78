/** `spindle rotate`: moves the fleet to the next key, or says whether that would go well. */
import { Command, Option } from "commander";
import type { FleetRecord } from "../../core/fleet/record.js";
import { CliError } from "../exit.js";
import { systemClock } from "../../adapters/system/clock.js";
import { keyStanding, type AwaitedKey } from "../operator/awaited-key.js";
import { readKeyAudit, watchKey, writeKey } from "../operator/distribute-key.js";
import { isAwaited, watchAwaited } from "../operator/follow-awaited.js";
import { addFleetOptions, durationOption } from "../operator/flags.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { followRotation, type FollowOptions } from "../operator/follow.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { checkFleet, preflightExitCode } from "../operator/preflight.js";
import { formatPreflight } from "../operator/preflight-text.js";
import { askController, makeRequest, refusal } from "../operator/request.js";
import { endWith, keyResult, resultOf } from "../operator/rotation-result.js";
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
    .description("move the fleet to the newest key that the nodes' key files offer, or to one that the controller makes")
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
  const untilMs = systemClock.nowMs() + flags.timeout;
  const keyId = await writeKey(fleet, secret, flags.secretFile);
  shell.stderr.write(`key ${keyId} is in Secret ${secret}; nodes read it within a minute or so\n`);
  const keys = { from: before?.current?.keyId ?? null, to: keyId };
  if (flags.wait !== true) return endWith(keyResult(keys, "distributed"), fleet, flags, shell);
  const key: AwaitedKey = { keyId, ring: fleet.place.ring, before: before?.rotation ?? 0 };
  const signal = shell.interrupted();
  for (;;) {
    const timeoutMs = Math.max(0, untilMs - systemClock.nowMs());
    const waited = await watchKey(fleet, key, { shell, signal, timeoutMs });
    if (waited.kind !== "reached") return endWith(keyResult(keys, "detached"), fleet, flags, shell);
    if (waited.value === "ask") {
      await askForKey(fleet, key, flags, signal, shell);
      continue;
    }
    const record = await readKeyAudit(fleet, key, signal);
    return endWith(keyResult(keys, waited.value, record), fleet, flags, shell);
  }
}

/** Where rotations begin by themselves one may have begun already, and is no refusal. */
async function askForKey(fleet: FleetWatch, key: AwaitedKey, flags: RotateFlags, signal: AbortSignal, shell: Shell): Promise<void> {
  const request = makeRequest({ kind: "rotate", reason: flags.reason, compromised: null, abort: null });
  const { answer, record } = await askController(fleet, request, signal);
  if (!answer.accepted && keyStanding(record, key) === "offered") throw refusal("the rotation", answer);
  shell.stderr.write(`${answer.why}${answer.accepted ? "" : "; waiting for the one to this key"}\n`);
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

async function rotate(fleet: FleetWatch, flags: RotateFlags, shell: Shell): Promise<void> {
  const compromised = flags.compromised === true ? leakedKey(fleet) : null;
  const request = makeRequest({ kind: "rotate", reason: flags.reason, compromised, abort: null });
  const signal = shell.interrupted();
  const { answer, record } = await askController(fleet, request, signal);
  const isRunning = (record.phase !== "steady" && record.phase !== "aborting") || isAwaited(record);
  const mayJoin = flags.wait === true && compromised === null && isRunning;
  const hint = isRunning ? "spindle rotate --wait follows the running rotation" : null;
  if (!answer.accepted && !mayJoin) throw refusal("the rotation", answer, hint);
  shell.stderr.write(`${answer.why}${answer.accepted ? "" : "; following it"}\n`);
  const untilMs = systemClock.nowMs() + flags.timeout;
  const options = (): FollowOptions => ({ shell, signal, timeoutMs: Math.max(0, untilMs - systemClock.nowMs()) });
  if (isAwaited(record)) return followAwaited(fleet, record, options, flags, shell);
  if (flags.wait !== true) return endWith(resultOf("rotate", record, null), fleet, flags, shell);
  const followed = await followRotation(fleet, record, options());
  await endWith(resultOf("rotate", record, followed), fleet, flags, shell);
}

/** The controller has yet to write the key: with `--wait` until the rotation to it ends, within one time-out. */
async function followAwaited(fleet: FleetWatch, asked: FleetRecord, options: () => FollowOptions, flags: RotateFlags, shell: Shell): Promise<void> {
  const keys = { from: asked.current?.keyId ?? null, to: asked.awaited?.keyId ?? null };
  if (flags.wait !== true) return endWith(keyResult(keys, "awaited"), fleet, flags, shell);
  const waited = await watchAwaited(fleet, asked, options());
  if (waited.kind !== "reached") return endWith(keyResult(keys, "detached"), fleet, flags, shell);
  const { begun } = waited.value;
  if (begun === null) return endWith(keyResult(keys, "withdrawn"), fleet, flags, shell);
  const followed = await followRotation(fleet, begun, options());
  await endWith(resultOf("rotate", begun, followed), fleet, flags, shell);
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
