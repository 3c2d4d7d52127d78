/** Options of a simulated fleet: those of production, with durations that fit a run of a minute. Milliseconds. */
export const agentDefaults = {
  ring: 255,
  jitter: { enabled: false, mode: "uniform", maxMs: 0, minNodes: 50 },
  drainMs: 500,
  retireDeadlineMs: 60_000,
  emergencyDeadlineMs: 5_000,
  reportIntervalMs: 200,
  resyncMs: 10_000,
  massDeletionShare: 0.5,
  leaseMs: 1_000,
} as const;

export const controllerDefaults = {
  ring: 255,
  start: "auto",
  slow: "wait",
  silent: "exclude",
  silentMs: 5_000,
  excludeShareMax: 0.34,
  stageDeadlineMs: 60_000,
  retireDeadlineMs: 60_000,
  emergencyDeadlineMs: 5_000,
  drainMs: 500,
  jitterMaxMs: 0,
  jitterMinNodes: 50,
  keyDistributionMs: 0,
  leaseMs: 1_000,
} as const;
