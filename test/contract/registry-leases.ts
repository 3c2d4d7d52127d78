/** Clauses on leases and the leadership. */
import assert from "node:assert/strict";
import type { LeaseView, RegistryPort } from "../../src/ports/registry.js";
import { eventually, Recorder, succeeds } from "./recorder.js";
import { incarnation, nodeName } from "./registry-records.js";
import type { Clause } from "./registry.js";

const longMs = 60_000;
const shortMs = 300;
/** Long enough that a busy machine does not keep its holder from renewing in time. */
const renewedMs = 1_500;

function renew(
  registry: RegistryPort,
  name: string,
  serial: number,
  leaseMs: number,
): Promise<null> {
  const id = incarnation(serial);
  return succeeds((done) => registry.renewLease(nodeName(name), id, leaseMs, done));
}

function list(registry: RegistryPort): Promise<readonly LeaseView[]> {
  return succeeds((done) => registry.listLeases(done));
}

export function leaseClauses(clause: Clause): void {
  clause("a lease names its incarnation, and its beat changes with each renewal", async (fleet) => {
    const { registry } = fleet.connect();
    await renew(registry, "a", 1, longMs);
    const [first] = await list(registry);
    await renew(fleet.connect().registry, "a", 2, longMs);
    const [second, ...others] = await list(registry);
    assert.ok(first !== undefined && second !== undefined);
    assert.deepEqual([first.name, first.incarnationId], ["a", incarnation(1)]);
    assert.deepEqual([second.name, second.incarnationId], ["a", incarnation(2)]);
    assert.notEqual(first.beat, second.beat);
    assert.deepEqual(others, []);
  });

  clause("a lease that is not renewed ends, and no other", async (fleet) => {
    const { registry } = fleet.connect();
    await renew(registry, "a", 1, longMs);
    const beforeMs = performance.now();
    await renew(registry, "b", 2, shortMs);
    await eventually(async () => {
      const names = (await list(registry)).map(({ name }) => name as string);
      return names.includes("b") ? null : names;
    });
    assert.ok(performance.now() - beforeMs >= shortMs, "not before its time");
    assert.deepEqual((await list(registry)).map(({ name }) => name as string), ["a"]);
  });

  clause("of several candidates one leads, and the next one when it stops", async (fleet) => {
    const first = new Recorder<boolean>();
    const second = new Recorder<boolean>();
    const stop = fleet.connect().registry.campaign("one", longMs, first.listener);
    await first.first((leads) => leads);
    assert.deepEqual(first.events, [true], "elected at once");
    fleet.connect().registry.campaign("two", shortMs, second.listener);
    await second.first((leads) => !leads);
    stop();
    await second.first((leads) => leads);
    assert.deepEqual([first.events, second.events], [[true], [false, true]]);
  });

  clause("a leader that vanishes is followed when its term ends, and knows it", async (fleet) => {
    const leader = fleet.connect();
    const first = new Recorder<boolean>();
    const second = new Recorder<boolean>();
    const order: string[] = [];
    leader.registry.campaign("one", shortMs, (leads) => {
      order.push(`one ${leads}`);
      first.listener(leads);
    });
    await first.first((leads) => leads);
    fleet.connect().registry.campaign("two", shortMs, (leads) => {
      order.push(`two ${leads}`);
      second.listener(leads);
    });
    await second.first((leads) => !leads);
    leader.vanish();
    await second.first((leads) => leads);
    await first.first((leads) => !leads);
    assert.deepEqual(order, ["one true", "two false", "one false", "two true"], "never both");
  });

  clause("a leader keeps its place while it can renew", async (fleet) => {
    const { registry } = fleet.connect();
    const first = new Recorder<boolean>();
    const second = new Recorder<boolean>();
    registry.campaign("one", renewedMs, first.listener);
    await first.first((leads) => leads);
    fleet.connect().registry.campaign("two", renewedMs, second.listener);
    const untilMs = performance.now() + 1.5 * renewedMs;
    await eventually(async () => {
      await list(registry);
      return performance.now() > untilMs ? true : null;
    });
    assert.deepEqual([first.events, second.events], [[true], [false]]);
  });
}
