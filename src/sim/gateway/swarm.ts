/**
 * A run from one number: a few links with drawn times, faults at drawn moments while rotations go on, then quiet, in which
 * everything must come to rest, and one more rotation without any fault. The same seed gives the same run.
 */
import type { Link, LinkName, SiteName } from "../../core/gateway/link.js";
import { makePrng, type Prng } from "../../core/prng.js";
import { GatewayChecker, type GatewayViolation } from "./checker.js";
import { SimGatewayFleet, type GatewaySimOptions } from "./fleet.js";
import type { GatewayMutant } from "./mutants.js";
import { emptyBackup, type GatewayBackup } from "./registry.js";

export interface GatewayRun {
  readonly seed: number;
  readonly violations: readonly GatewayViolation[];
  /** What the script broke, in order. */
  readonly faults: readonly string[];
  readonly sent: number;
  readonly lost: number;
  readonly generations: number;
  readonly fleet: SimGatewayFleet;
}

const faultMs = 180_000;
/** Longer than a rollback that waits for its deadline, twice spaced. */
const quietMs = 1_800_000;

export function runGatewaySeed(seed: number, mutant: GatewayMutant | null = null): GatewayRun {
  const prng = makePrng(seed);
  const fleet = new SimGatewayFleet({ ...drawOptions(seed, prng), ...stepsOf(mutant) });
  const checker = new GatewayChecker(fleet);
  const faults: string[] = [];
  // Some sites are slow at what they do, so that the two ends of a link get apart.
  for (const site of fleet.sites.values()) if (prng.below(3) === 0) site.deedMs = prng.below(6_000);
  if (fleet.bringUp()) {
    for (const link of fleet.links) fleet.rotate(link.name);
    const endMs = fleet.time.nowMs + faultMs;
    // In half of the runs nothing is broken that carries traffic: there nothing excuses a lost packet.
    const kinds = prng.below(2) === 0 ? faultKinds : faultKindsHarmless;
    const backups = [emptyBackup];
    while (fleet.time.nowMs < endMs) {
      backups.push(fleet.registry.backup());
      fleet.run(200 + prng.below(15_000));
      faults.push(`${fleet.time.nowMs.toFixed(0)} ms: ${breakSomething(fleet, checker, backups, prng, kinds)}`);
    }
    mendAll(fleet);
    fleet.runUntil(() => fleet.links.every((link) => fleet.isAtRest(link)), quietMs, 1_000);
    fleet.run(60_000);
    for (const link of fleet.links) fleet.rotateAndRest(link, 120_000);
  }
  const violations = checker.finish();
  const generations = Math.max(...[...fleet.registry.links.values()].map(({ record }) => record.lastNumber));
  return { seed, violations, faults, sent: fleet.traffic.sent, lost: fleet.traffic.lost.length, generations, fleet };
}

function stepsOf(mutant: GatewayMutant | null): Partial<GatewaySimOptions> {
  return {
    ...(mutant?.stepHub === undefined ? {} : { stepHub: mutant.stepHub }),
    ...(mutant?.stepSite === undefined ? {} : { stepSite: mutant.stepSite }),
  };
}

function drawOptions(seed: number, prng: Prng): GatewaySimOptions {
  const links = Array.from({ length: 1 + prng.below(3) }, (_, index): Link => {
    const [server, client] = [`w-${index}` as SiteName, `w-${index}${1 + prng.below(9)}` as SiteName];
    return { name: `${server}-to-${client}` as LinkName, server, client, pairs: 1 + prng.below(3) };
  });
  return {
    seed,
    links,
    packetEveryMs: 100,
    /** From a minute to ten before midnight. */
    untilMidnightMs: 60_000 + prng.below(540_000),
    hub: { linksAtOnceMax: 1 + prng.below(3) },
    issuer: { issueMs: 10 + prng.below(3_000), rootMs: 60_000 + prng.below(600_000) },
    tunnels: { startMs: 50 + prng.below(4_000), handshakeMs: 50 + prng.below(8_000), pingRestartMs: 5_000 + prng.below(10_000) },
  };
}

const faultKinds = 11;
const faultKindsHarmless = 9;

function breakSomething(fleet: SimGatewayFleet, checker: GatewayChecker, backups: GatewayBackup[], prng: Prng, kinds: number): string {
  const link = pick(fleet.links, prng);
  const side = prng.below(2) === 0 ? "server" : "client";
  const name = link[side];
  switch (prng.below(kinds)) {
    case 0:
      fleet.startHub();
      return "the hub starts anew";
    case 1:
      later(fleet, prng, () => fleet.startHub());
      fleet.stopHub();
      return "the hub is gone for a while";
    case 2:
      fleet.startSite(name);
      return `the program of ${name} starts anew`;
    case 3:
      later(fleet, prng, () => fleet.startSite(name));
      fleet.killSite(name);
      checker.prolong(link.name, laterMsMax);
      return `the program of ${name} is gone for a while`;
    case 4: {
      const { program } = fleet.site(name);
      if (program === null) return "nothing";
      fleet.registry.cutOff(program.client);
      later(fleet, prng, () => fleet.registry.reconnect(program.client));
      return `${name} is cut off from the registry for a while`;
    }
    case 5:
      fleet.issuer.failsWith = "GATEWAY_ISSUE_FAILED";
      later(fleet, prng, () => (fleet.issuer.failsWith = null));
      return "nothing is issued for a while";
    case 6:
      fleet.site(name).skewMs = prng.below(600_000) - 300_000;
      return `the clock of ${name} is set`;
    case 7:
      fleet.rotate(link.name);
      return `a rotation of ${link.name} is asked for`;
    case 8:
      return restoreRegistry(fleet, backups, prng);
    case 9:
      return killProcess(fleet, checker, link, prng);
    default:
      checker.excuse(link.name);
      fleet.reboot(name);
      return `${name} reboots`;
  }
}

/** Of the generation on its way, which carries nothing yet before the switch; of any other, where there is none. */
function killProcess(fleet: SimGatewayFleet, checker: GatewayChecker, link: Link, prng: Prng): string {
  const next = fleet.record(link.name)?.pairs.find((pair) => pair.next !== null)?.next ?? null;
  const all = [...fleet.tunnels.all].filter((one) => one.link === link.name && one.process !== null);
  const isSafe = next?.phase === "issued";
  const chosen = all.find(({ number }) => number === next?.number) ?? (all.length === 0 ? undefined : pick(all, prng));
  if (chosen === undefined) return "nothing";
  if (!isSafe || chosen.number !== next.number) checker.excuse(link.name);
  fleet.tunnels.stop(chosen, true);
  fleet.tunnels.changed(chosen);
  return `the process of generation ${chosen.number} at ${chosen.site} is killed`;
}

/** To any earlier state, or to none at all. */
function restoreRegistry(fleet: SimGatewayFleet, backups: readonly GatewayBackup[], prng: Prng): string {
  const backup = pick(backups, prng);
  fleet.registry.restore(backup);
  return `the registry comes back from a backup at revision ${backup.revision}`;
}

function mendAll(fleet: SimGatewayFleet): void {
  fleet.issuer.failsWith = null;
  if (fleet.hub === null) fleet.startHub();
  for (const [name, site] of fleet.sites) {
    site.skewMs = 0;
    if (site.program === null) fleet.startSite(name);
    else if (site.program.client.isCutOff) fleet.registry.reconnect(site.program.client);
  }
}

const laterMsMax = 41_000;

function later(fleet: SimGatewayFleet, prng: Prng, run: () => void): void {
  fleet.time.post(fleet.time.nowMs + 1_000 + prng.below(laterMsMax - 1_000), run);
}

function pick<T>(items: readonly T[], prng: Prng): T {
  return items[prng.below(items.length)] as T;
}
