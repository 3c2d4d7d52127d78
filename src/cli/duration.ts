/** Durations as people write and read them: `500ms`, `30s`, `5m`, `2h`, `30d`. */

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** What to say when a duration was expected. */
export const durationWords = "a duration such as 500ms, 30s or 5m, or a number of milliseconds";

/**
 * Milliseconds, or null for anything else than a duration. A number without unit is milliseconds.
 */
export function parseDuration(value: string | number): number | null {
  if (typeof value === "number") return Number.isInteger(value) && value >= 0 ? value : null;
  const match = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(value.trim());
  const [, amount, unit] = match ?? [];
  if (amount === undefined || unit === undefined) return /^\d+$/.test(value) ? Number(value) : null;
  return Math.round(Number(amount) * (unitMs[unit] ?? NaN));
}

/** The two largest units that matter: `30d`, `1h 5m`, `2m 30s`, `4.2s`, `350ms`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 1_000) return `${Math.round(durationMs)}ms`;
  if (durationMs < 59_950) return `${Number((durationMs / 1_000).toFixed(1))}s`;
  const seconds = Math.round(durationMs / 1_000);
  if (seconds < 3_600) return joinUnits(Math.floor(seconds / 60), "m", seconds % 60, "s");
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return joinUnits(Math.floor(minutes / 60), "h", minutes % 60, "m");
  const hours = Math.round(minutes / 60);
  return joinUnits(Math.floor(hours / 24), "d", hours % 24, "h");
}

function joinUnits(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit} ${small}${smallUnit}`;
}
