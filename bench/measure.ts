/** Times small functions in many short rounds, so that slow moments of the machine do not count. */

export interface Measurement {
  readonly what: string;
  /** Time of one call, microseconds. */
  readonly us: number;
  readonly targetUs: number | null;
}

const warmUpMs = 300;
const rounds = 31;
const roundMs = 20;

/** @returns the time of one call of `run` in microseconds: the quartile of the rounds, as other programs only add to it */
export function timeUs(run: () => void): number {
  const perRound = callsIn(run, warmUpMs) * (roundMs / warmUpMs);
  const calls = Math.max(1, Math.round(perRound));
  const samples = Array.from({ length: rounds }, () => {
    const startMs = performance.now();
    for (let i = 0; i < calls; i += 1) run();
    return ((performance.now() - startMs) * 1_000) / calls;
  });
  return samples.sort((one, other) => one - other)[rounds >> 2] ?? 0;
}

/** Also warms up: the first calls are interpreted. */
function callsIn(run: () => void, forMs: number): number {
  let calls = 0;
  for (const endMs = performance.now() + forMs; performance.now() < endMs; calls += 1) run();
  return calls;
}

export function printTable(title: string, measurements: readonly Measurement[]): void {
  const width = Math.max(...measurements.map(({ what }) => what.length));
  console.log(`\n${title}`);
  for (const { what, us, targetUs } of measurements) {
    const verdict = targetUs === null ? "" : `  target ${targetUs} us  ${us <= targetUs ? "met" : "MISSED"}`;
    console.log(`  ${what.padEnd(width)}  ${us.toFixed(1).padStart(9)} us${verdict}`);
  }
}
