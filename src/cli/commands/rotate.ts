/** `spindle rotate`: moves the fleet to the next key, or says whether that would go well. */
import { Command, Option } from "commander";
import { CliError } from "../exit.js";
import type { KeyId } from "../../core/key-id.js";
import { addFleetOptions, durationOption } from "../operator/flags.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { followRotation, type FollowOptions } from "../operator/follow.js";
import { writeNextKey } from "../operator/next-key-secret.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { checkFleet, preflightExitCode } from "../operator/preflight.js";
import { formatPreflight } from "../operator/preflight-text.js";
import { askController, makeRequest, refusal } from "../operator/request.js";
import { endWith, resultOf } from "../operator/rotation-result.js";
import { rotateCompromised } from "../operator/standing.js";
import { waitUntil } from "../operator/wait.js";
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
  if (flags.secret !== undefined && !(await distribute(fleet, flags.secret, flags, shell))) return;
  return isPairwise ? rotateCompromised(fleet, flags, shell) : rotate(fleet, flags, shell);
}

/**
 * Puts the next key into the Secret, and waits with `--wait` until every node offers it.
 * @returns whether there is something to follow
 */
async function distribute(
  fleet: FleetWatch,
  name: string,
  flags: RotateFlags,
  shell: Shell,
): Promise<boolean> {
  const { registry, ring } = fleet.place;
  if (registry.kind !== "kubernetes") {
    const message = "--secret needs registry.kind kubernetes: there are no Secrets elsewhere";
    const hint = "spindle keyfile next adds a key to a file";
    throw new CliError({ exitCode: 2, code: "BAD_USAGE", message, hint });
  }
  const { openApiClient } = await import("../../adapters/registry/kubernetes/open.js");
  const client = openApiClient(registry);
  const secret = { name, file: flags.secretFile, ring };
  const keyId = await writeNextKey(client, secret, fleet.fleet).finally(() => client.close());
  shell.stderr.write(`key ${keyId} is in Secret ${name}; nodes read it within a minute or so\n`);
  if (flags.wait !== true) {
    const result = { keyId, secret: name };
    await printResult(shell.stdout, formatOf(flags), result, () =>
      `key ${keyId} is in Secret ${name}: the rotation starts when nodes offer it (rotation.start: auto), ` +
      "or by spindle rotate (manual)",
    );
    return false;
  }
  return untilOffered(fleet, keyId, flags, shell);
}

/** False when waiting ended first; the key stays in the Secret and the fleet goes on by itself. */
async function untilOffered(
  fleet: FleetWatch,
  keyId: KeyId,
  flags: RotateFlags,
  shell: Shell,
): Promise<boolean> {
  const isOffered = (): true | null => {
    const { roster, reports } = fleet.snapshot();
    const nodes = [...roster.entries.keys()];
    const offers = (name: (typeof nodes)[number]): boolean =>
      reports.get(name)?.available.some((key) => key.keyId === keyId) === true;
    const hasBegun = fleet.fleet !== null && fleet.fleet.phase !== "steady";
    return hasBegun || (nodes.length > 0 && nodes.every(offers)) ? true : null;
  };
  const waited = await waitUntil(fleet, isOffered, {
    signal: shell.interrupted(),
    timeoutMs: flags.timeout,
  });
  if (waited.kind === "reached") return true;
  shell.stderr.write("not every node offers the key yet; spindle status shows who does\n");
  shell.exitWith(4);
  return false;
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
  const isRunning = record.phase !== "steady" && record.phase !== "aborting";
  const mayJoin = flags.wait === true && compromised === null && isRunning;
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
