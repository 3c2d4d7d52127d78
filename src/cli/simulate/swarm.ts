/** `spindle simulate --swarm`: seeds, each a fleet with drawn options and faults, until all are done or time is up. */
import { setImmediate } from "node:timers/promises";
import { systemClock } from "../../adapters/system/clock.js";
import { colorsFor } from "../../adapters/system/terminal.js";
import type { Mutant } from "../../sim/mutants/mutant.js";
import { explainSwarmSeed, runSwarmSeed, type SwarmSeedResult } from "../../sim/swarm/swarm-seed.js";
import { count, seconds } from "../lab/progress-lines.js";
import { formatOf, printResult, type OutputOptions } from "../output.js";
import { startProgress } from "../progress.js";
import type { Shell } from "../shell.js";

export interface SwarmFlags {
  readonly firstSeed: number;
  /** How many seeds; null for as many as there is time for. */
  readonly seeds: number | null;
  readonly minutes: number | null;
  readonly mutant: Mutant | null;
}

/** More failed seeds than this are counted only. */
const explainedMax = 5;

interface Totals {
  seeds: number;
  failed: number;
  sent: number;
  excused: number;
  virtualMs: number;
}

export async function runSwarm(flags: SwarmFlags, output: OutputOptions, shell: Shell): Promise<void> {
  const totals: Totals = { seeds: 0, failed: 0, sent: 0, excused: 0, virtualMs: 0 };
  const failures: SwarmSeedResult[] = [];
  const startedMs = systemClock.nowMs();
  const wall = (): number => systemClock.nowMs() - startedMs;
  const progress = startProgress({ stream: shell.stderr, lines: () => [describe(totals, flags, wall())] });
  try {
    while (!isOver(totals, flags, wall()) && !shell.interrupted().aborted) {
      const result = runSwarmSeed(flags.firstSeed + totals.seeds, { mutant: flags.mutant });
      add(totals, result);
      if (result.violations.length > 0 && failures.length < explainedMax) {
        failures.push(result);
        progress.note(explainSwarmSeed(result));
      }
      await setImmediate();
    }
  } finally {
    progress.stop();
  }
  const complete = isOver(totals, flags, wall());
  const ok = complete && totals.failed === 0;
  const value = { schemaVersion: 1, ...totals, mutant: flags.mutant?.name ?? null, failures: failures.map(viewOf), complete, ok };
  await printResult(shell.stdout, formatOf(output), value, () => verdict(totals, wall(), shell));
  if (!ok) shell.exitWith(1);
}

function isOver({ seeds }: Totals, flags: SwarmFlags, wallMs: number): boolean {
  const isTimeUp = flags.minutes !== null && wallMs >= flags.minutes * 60_000;
  return isTimeUp || (flags.seeds !== null && seeds >= flags.seeds);
}

function add(totals: Totals, { violations, sent, excused, virtualMs }: SwarmSeedResult): void {
  totals.seeds += 1;
  totals.failed += violations.length > 0 ? 1 : 0;
  totals.sent += sent;
  totals.excused += excused;
  totals.virtualMs += virtualMs;
}

function describe({ seeds, failed }: Totals, flags: SwarmFlags, wallMs: number): string {
  const of = flags.seeds === null ? "" : ` of ${count(flags.seeds)}`;
  return `seeds ${count(seeds)}${of}  failed ${count(failed)}  ${(seeds / (wallMs / 1_000)).toFixed(1)} seeds/s`;
}

function viewOf({ seed, plan, violations, actions, replay }: SwarmSeedResult): object {
  return { seed, plan, violations, actions, replay };
}

function verdict({ seeds, failed, sent, excused, virtualMs }: Totals, wallMs: number, { stdout }: Shell): string {
  const colors = colorsFor(stdout);
  const rate = (seeds / (wallMs / 1_000)).toFixed(1);
  const hours = (virtualMs / 3_600_000).toFixed(1);
  const words = failed === 0 ? colors.green("every invariant held") : colors.red(`${count(failed)} seeds failed`);
  return [
    `${count(seeds)} seeds in ${seconds(wallMs)} (${rate} seeds/s), ${hours} hours of virtual time`,
    `${count(sent)} packets sent, ${count(excused)} lost with an excuse of S1`,
    words,
  ].join("\n");
}
