/** Waits between attempts: full jitter, so that those who met once do not meet again. */

/**
 * A wait in milliseconds, random up to `msMin * 2 ** attempt` and never more than `msMax`; attempts
 * count from 0.
 */
export function backoffMs(attempt: number, msMin: number, msMax: number): number {
  const ceilingMs = Math.min(msMax, msMin * 2 ** Math.min(attempt, 30));
  return Math.random() * ceilingMs;
}

/** Resolves after `ms`, or at once when `signal` is aborted: it never rejects. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(wake, ms);
    signal.addEventListener("abort", wake, { once: true });
    function wake(): void {
      clearTimeout(timer);
      signal.removeEventListener("abort", wake);
      resolve();
    }
  });
}
