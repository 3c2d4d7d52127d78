/** Wall-clock times as records show them: ISO 8601 in UTC, as in 2026-01-31T12:00:00.000Z. Nothing safe depends on them. */

const pattern = /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,3}))?Z$/;

const dayMs = 24 * 3_600_000;

/** Milliseconds from one time to another, below 0 when they are the other way round; null when one of them is no time. */
export function wallMsBetween(from: string, to: string): number | null {
  const [fromMs, toMs] = [wallMs(from), wallMs(to)];
  return fromMs === null || toMs === null ? null : toMs - fromMs;
}

function wallMs(at: string): number | null {
  const found = pattern.exec(at);
  if (found === null) return null;
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = found.slice(1, 7).map(Number);
  const thousandths = Number((found[7] ?? "").padEnd(3, "0"));
  return daysTo(year, month, day) * dayMs + ((hour * 60 + minute) * 60 + second) * 1_000 + thousandths;
}

/** Days since the first of March of the year 0 of the Gregorian calendar: years that begin in March end with the leap day. */
function daysTo(year: number, month: number, day: number): number {
  const isEarly = month <= 2;
  const years = isEarly ? year - 1 : year;
  const months = isEarly ? month + 9 : month - 3;
  const leapDays = Math.floor(years / 4) - Math.floor(years / 100) + Math.floor(years / 400);
  return years * 365 + leapDays + Math.floor((153 * months + 2) / 5) + day - 1;
}
