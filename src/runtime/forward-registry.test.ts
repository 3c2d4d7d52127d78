import assert from "node:assert/strict";
import { test } from "node:test";
import type { FleetRecord } from "../core/fleet/record.js";
import type { Report } from "../core/report.js";
import type { RegistryPort, SingleEvent, WatchEvent } from "../ports/registry.js";
import { ForwardRegistry, rolledBackCode } from "./forward-registry.js";

interface Scene {
  readonly forward: ForwardRegistry;
  readonly roster: (event: WatchEvent<never>) => void;
  readonly fleet: (event: SingleEvent<FleetRecord>) => void;
  /** What came through, one line each. */
  readonly heard: string[];
  readonly publish: () => string;
  /** Watches of the roster so far. */
  readonly watches: () => number;
  readonly timers: readonly (() => void)[];
}

function scene(): Scene {
  const heard: string[] = [];
  const timers: (() => void)[] = [];
  let watches = 0;
  const listeners: { roster?: (event: never) => void; fleet?: (event: never) => void } = {};
  const registry: Partial<RegistryPort> = {
    watchRoster: (listener) => {
      watches += 1;
      listeners.roster = listener;
      return () => undefined;
    },
    watchFleet: (listener) => ((listeners.fleet = listener), () => undefined),
    publishReport: (_report, done) => done({ ok: true, value: null }),
  };
  const forward = new ForwardRegistry(registry as RegistryPort, {
    defer: (run) => run(),
    nowMs: () => 0,
    setTimer: (_atMs, run) => (timers.push(run), () => undefined),
  });
  forward.port.watchRoster((event) => {
    heard.push(event.kind === "disconnected" ? event.reason : `${event.kind} ${event.revision}`);
  });
  forward.port.watchFleet((event) => {
    heard.push(event.kind === "disconnected" ? event.reason : `fleet ${event.object.version}`);
  });
  const publish = (): string => {
    let said = "nothing";
    forward.port.publishReport({} as Report, (result) => (said = result.ok ? "written" : result.error.code));
    return said;
  };
  return {
    forward,
    roster: (event) => listeners.roster?.(event as never),
    fleet: (event) => listeners.fleet?.(event as never),
    heard,
    publish,
    watches: () => watches,
    timers,
  };
}

const listing = (revision: number): WatchEvent<never> => ({ kind: "listing", revision, items: [] });
const removed = (revision: number): WatchEvent<never> => ({ kind: "removed", revision, name: "gone" });
const value = (version: number): SingleEvent<FleetRecord> => ({ kind: "value", object: { version, value: null } });

test("forward registry: a listing older than what was seen is as none, and so is what follows it", () => {
  const { roster, heard, publish } = scene();
  for (const event of [listing(7), removed(9), listing(8), removed(10)]) roster(event);
  assert.deepEqual(heard, ["listing 7", "removed 9", `${rolledBackCode}: it shows roster revision 8, and 9 was seen`]);
  assert.equal(publish(), rolledBackCode, "a report of what was seen would be news to those who did not");
  roster(listing(9));
  assert.equal(heard.at(-1), "listing 9");
  assert.equal(publish(), "written");
});

test("forward registry: a change as new as what was seen asks for the listing that shows it", () => {
  const { roster, heard, watches, timers } = scene();
  for (const event of [listing(9), listing(3), removed(7), removed(8)]) roster(event);
  assert.equal(timers.length, 0);
  for (const event of [removed(9), removed(11)]) roster(event);
  assert.equal(heard.length, 2, "the change itself says too little");
  assert.equal(timers.length, 1, "many changes are one look");
  timers[0]?.();
  assert.equal(watches(), 2);
  // Still being restored: it is looked at until it is.
  roster(listing(0));
  timers[1]?.();
  assert.equal(watches(), 3);
  roster(listing(11));
  assert.equal(heard.at(-1), "listing 11");
  assert.equal(timers.length, 2);
});

test("forward registry: a fleet record that was there and is older or absent is not believed", () => {
  const { fleet, heard, publish } = scene();
  for (const event of [value(0), value(5), value(0), value(4)]) fleet(event);
  assert.deepEqual(heard.slice(0, 2), ["fleet 0", "fleet 5"]);
  assert.ok(heard.slice(2).every((line) => line.startsWith(rolledBackCode)), heard.join("; "));
  assert.equal(publish(), rolledBackCode);
  fleet(value(6));
  assert.equal(publish(), "written");
});

test("forward registry: what was known before the start counts", () => {
  const { forward, roster, fleet, heard } = scene();
  forward.remember(100, 50);
  roster(listing(99));
  fleet(value(49));
  assert.ok(heard.length === 2 && heard.every((line) => line.startsWith(rolledBackCode)), heard.join("; "));
});

test("forward registry: a registry that is a class is forwarded whole", () => {
  const calls: string[] = [];
  class Ported {
    renewLease(): void {
      calls.push("renewLease");
    }

    close(): void {
      calls.push("close");
    }
  }
  const registry = new Ported() as unknown as RegistryPort;
  const { port } = new ForwardRegistry(registry, { defer: (run) => run(), nowMs: () => 0, setTimer: () => () => undefined });
  port.renewLease("a" as never, "b" as never, 1_000, () => undefined);
  port.close();
  assert.deepEqual(calls, ["renewLease", "close"]);
});
