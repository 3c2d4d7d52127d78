/** `spindle simulate --replay FILE` of a counterexample that `spindle modelcheck --trace` wrote. */
import { open, readFile } from "node:fs/promises";
import { colorsFor } from "../../adapters/system/terminal.js";
import { replayCounterexample, type Played } from "../../modelcheck/replay-in-simulator.js";
import { CliError } from "../exit.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import type { Shell } from "../shell.js";

/** Counterexamples say so in their first lines; recordings are read as streams. */
const headBytes = 256;

export async function isCounterexample(path: string): Promise<boolean> {
  const file = await open(path).catch(() => null);
  if (file === null) return false;
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(headBytes), 0, headBytes, 0);
    return buffer.toString("utf8", 0, bytesRead).includes('"modelcheck-counterexample"');
  } catch {
    return false; // A directory.
  } finally {
    await file.close();
  }
}

/** Exit 0 when the simulator finds the same invariant broken, 1 when it does not. */
export async function playCounterexample(path: string, flags: OutputOptions, shell: Shell): Promise<void> {
  const played = replayCounterexample(await readFile(path, "utf8"));
  if (!played.ok) {
    throw new CliError({ exitCode: 2, code: "BAD_USAGE", message: `${path}: ${played.error}` });
  }
  const view = { schemaVersion: 1, ok: played.value.confirmed, ...played.value };
  if (!view.ok) shell.exitWith(1);
  await printResult(shell.stdout, formatOf(flags), view, () => textOf(played.value, shell));
}

function textOf({ confirmed, stuckAt, observed }: Played, shell: Shell): string {
  const colors = colorsFor(shell.stdout);
  if (stuckAt !== null) return colors.red(`not confirmed: move ${stuckAt.move} is not possible here: ${stuckAt.why}`);
  const verdict = confirmed ? colors.green("confirmed by the simulator:") : colors.red("not confirmed:");
  return [verdict, ...(observed.length === 0 ? ["nothing was lost"] : observed)].join("\n");
}
