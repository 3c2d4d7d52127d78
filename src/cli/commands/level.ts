/** `spindle level`: moves the fleet between plain and encrypted traffic, or says what would be in the way. */
import { Argument, Command } from "commander";
import { policyLevels, type PolicyLevel } from "../../core/policy-level.js";
import { CliError } from "../exit.js";
import { addFleetOptions, durationOption } from "../operator/flags.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { watchProgress } from "../operator/follow.js";
import { checkMove, describeMove, levelEnd, resultOfMove } from "../operator/level-move.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { askController, makeRequest, refusal } from "../operator/request.js";
import { addOutputOptions, formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

interface LevelFlags extends FleetFlags, OutputOptions {
  readonly wait?: true;
  readonly timeout: number;
  readonly reason: string;
  readonly dryRun?: true;
}

export function makeCommand(shell: Shell): Command {
  const command = new Command("level")
    .description("move the fleet to a policy level, one level at a time and behind the barrier: nothing is lost")
    .addArgument(new Argument("<level>", "how strict with plain packets").choices(policyLevels))
    .option("--wait", "show progress until every node has applied it; interrupting it only detaches")
    .addOption(durationOption("--timeout <duration>", "how long --wait waits", 600_000, "10m"))
    .option("--reason <text>", "why, for the fleet record and the log", "asked for by an operator")
    .option("--dry-run", "only the way there and what is in it: exit 1 when something is");
  return addOutputOptions(addFleetOptions(command)).action(async (level: PolicyLevel, flags: LevelFlags) => {
    await withFleet(flags, shell, (fleet) => run(fleet, level, flags, shell));
  });
}

async function run(fleet: FleetWatch, level: PolicyLevel, flags: LevelFlags, shell: Shell): Promise<void> {
  if (fleet.place.coordination === "pairwise") throw pairwiseRefusal();
  if (flags.dryRun === true) return showMove(fleet, level, flags, shell);
  const signal = shell.interrupted();
  const content = { kind: "level", reason: flags.reason, compromised: null, abort: null, level } as const;
  const { answer } = await askController(fleet, makeRequest(content), signal);
  if (!answer.accepted) throw refusal("the level", answer);
  shell.stderr.write(`${answer.why}\n`);
  const end = (): ReturnType<typeof levelEnd> => levelEnd(fleet, level);
  const followed = flags.wait === true ? await watchProgress(fleet, end, { shell, signal, timeoutMs: flags.timeout }) : null;
  const outcome = followed === null ? (end() ?? "started") : followed.kind === "reached" ? followed.value : "detached";
  const result = resultOfMove(fleet, level, outcome);
  shell.exitWith(outcome === "detached" ? 4 : outcome === "replaced" ? 1 : 0);
  await printResult(shell.stdout, formatOf(flags), result, () => describeMove(result, shell.stdout));
}

async function showMove(fleet: FleetWatch, level: PolicyLevel, flags: LevelFlags, shell: Shell): Promise<void> {
  const check = checkMove(fleet, level);
  shell.exitWith(check.obstacles.length > 0 ? 1 : 0);
  const lines = (): string =>
    [check.way === null ? `from the level that the nodes' configurations set to ${level}` : check.way.join(" → "), ...check.obstacles].join("\n");
  await printResult(shell.stdout, formatOf(flags), check, lines);
}

function pairwiseRefusal(): CliError {
  return new CliError({
    exitCode: 2,
    code: "LEVEL_NEEDS_BARRIER",
    message: "in pairwise coordination nobody keeps the order of levels for the fleet",
    details: ["change policy.level of one node after the other, and all nodes before the next level"],
    hint: "docs/reference/policy.md has the steps",
  });
}
