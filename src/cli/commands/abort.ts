/** `spindle abort`: takes the fleet back to the key it had, while every node still holds it. */
import { Command } from "commander";
import { addFleetOptions, durationOption } from "../operator/flags.js";
import type { FleetWatch } from "../operator/fleet-watch.js";
import { followRotation } from "../operator/follow.js";
import { withFleet, type FleetFlags } from "../operator/open-fleet.js";
import { askController, makeRequest, refusal } from "../operator/request.js";
import { endWith, resultOf } from "../operator/rotation-result.js";
import { abortPairwise } from "../operator/standing.js";
import { addOutputOptions, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

export interface AbortFlags extends FleetFlags, OutputOptions {
  readonly timeout: number;
  readonly reason: string;
}

export function makeCommand(shell: Shell): Command {
  const command = new Command("abort")
    .description("take the fleet back to the key it had, and wait until it is steady again")
    .addOption(durationOption("--timeout <duration>", "how long to wait", 600_000, "10m"))
    .option("--reason <text>", "why, for the log of the controller", "asked for by an operator");
  return addOutputOptions(addFleetOptions(command)).action(async (flags: AbortFlags) => {
    await withFleet(flags, shell, (fleet) => {
      return fleet.place.coordination === "pairwise"
        ? abortPairwise(fleet, flags, shell)
        : abort(fleet, flags, shell);
    });
  });
}

async function abort(fleet: FleetWatch, flags: AbortFlags, shell: Shell): Promise<void> {
  const key = fleet.fleet?.target ?? null;
  const request = makeRequest({
    kind: "abort",
    reason: flags.reason,
    compromised: null,
    abort: key,
  });
  const signal = shell.interrupted();
  const { answer, record } = await askController(fleet, request, signal);
  if (!answer.accepted) throw refusal("the abort", answer);
  if (record.phase === "steady") {
    shell.stderr.write(`${answer.why}\n`);
    return endWith({ ...resultOf("abort", record, null), outcome: "withdrawn" }, fleet, flags, shell);
  }
  shell.stderr.write(`rotation ${record.rotation} is being aborted\n`);
  const followed = await followRotation(fleet, record, { shell, signal, timeoutMs: flags.timeout });
  await endWith(resultOf("abort", record, followed), fleet, flags, shell);
}
