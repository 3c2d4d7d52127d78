/**
 * A restart of a registry under watches of a roster of 1,000: how long until every one shows the complete and correct
 * roster again, with what changed meanwhile. Issue 5: under 5 s, no missed deletion.
 */
import type { RegistryPort } from "../src/ports/registry.js";
import { succeeds } from "../test/contract/recorder.js";
import { admission, nodeName } from "../test/contract/registry-records.js";
import { FollowedRoster } from "../test/support/followed-roster.js";

const nodes = 1_000;
const watchers = 50;
const changed = 10;
const targetMs = 5_000;
const atOnce = 16;

export interface RestartedRegistry {
  readonly name: string;
  /** Each a connection of its own. */
  readonly connect: () => RegistryPort;
  /** Kills the server, starts it again, and returns when it serves. */
  readonly restart: () => Promise<void>;
  /** Takes the history since the restart away as well; null where a restart does so by itself. */
  readonly forget: (() => Promise<void>) | null;
}

export async function measureRestarts({ name, connect, restart, forget }: RestartedRegistry): Promise<void> {
  const registries: RegistryPort[] = [];
  const open = (): RegistryPort => {
    const registry = connect();
    registries.push(registry);
    return registry;
  };
  try {
    const present = new Set<string>();
    const serials = Array.from({ length: nodes }, (_, serial) => serial + 1).values();
    const writer = open();
    await Promise.all(Array.from({ length: atOnce }, async () => {
      for (const serial of serials) await admit(writer, serial, present);
    }));
    const rosters = Array.from({ length: watchers }, () => new FollowedRoster(open()));
    await Promise.all(rosters.map((roster) => roster.shows([...present])));
    const take = async (round: number, forgets: (() => Promise<void>) | null): Promise<number> => {
      await restart();
      const startedMs = performance.now();
      await change(open(), round, present);
      await forgets?.();
      await Promise.all(rosters.map((roster) => roster.shows([...present])));
      return performance.now() - startedMs;
    };
    const resumedMs = await take(0, null);
    const told = rosters.filter((roster) => roster.count("removed") === changed).length;
    const head = `\n${name} restart, roster of ${nodes}, ${watchers} watches in one process, ${changed} removed and ${changed} joined`;
    console.log(head);
    console.log(line(`restarted (${told} of ${watchers} were told each deletion)`, resumedMs));
    if (forget !== null) console.log(line("history gone besides", await take(1, forget)));
  } finally {
    for (const registry of registries) registry.close();
  }
}

async function admit(registry: RegistryPort, serial: number, present: Set<string>): Promise<void> {
  const name = `node-${serial}`;
  await succeeds((done) => registry.register(admission(name, serial), done));
  present.add(name);
}

/** As soon as that can be. */
async function change(writer: RegistryPort, round: number, present: Set<string>): Promise<void> {
  for (let step = 1; step <= changed; step++) {
    const gone = `node-${round * changed + step}`;
    await succeeds((done) => writer.remove(nodeName(gone), done));
    present.delete(gone);
    await admit(writer, nodes + round * changed + step, present);
  }
}

function line(what: string, ms: number): string {
  return `  ${what.padEnd(50)} ${ms.toFixed(0).padStart(6)} ms, target ${targetMs} ms ${ms <= targetMs ? "met" : "MISSED"}`;
}
