import assert from "node:assert/strict";
import { test } from "node:test";
import { credentialsOf, fixtureLink, healthyView, nextOf, pairIndex, pairOf, recordOf } from "../fixtures.js";
import type { LinkRecord, PairPhase } from "../record.js";
import type { AgedView, ObservedGateway, RouteView } from "../report.js";
import { newSite, type SiteEffect, type SiteObservation, type SiteOptions, type SiteState } from "./state.js";
import { stepSite } from "./step.js";

const options: SiteOptions = { site: fixtureLink.server, observeMs: 1_000, observeIdleMs: 10_000, drainMs: 2_000, drainMsMax: 60_000 };
const old = credentialsOf(7);
const fresh = credentialsOf(8, 1);
const other = credentialsOf(6);
const nowMs = 100_000;

function record(phase: PairPhase | null): LinkRecord {
  return recordOf([pairOf(0, old, phase === null ? null : nextOf(fresh, phase)), pairOf(1, other)]);
}

function seenAs(view: AgedView): ObservedGateway {
  const { ageMs, ...rest } = view;
  return { ...rest, observedMs: nowMs - ageMs };
}

const all = [healthyView("server", 0, old), healthyView("server", 0, fresh), healthyView("server", 1, other)];

function hops(...numbers: readonly (readonly [pair: number, number: number])[]): RouteView {
  return { kind: "hops", hops: numbers.map(([pair, number]) => ({ pair: pairIndex(pair), number })) };
}

function observationOf(
  link: LinkRecord,
  gateways: readonly AgedView[],
  route: RouteView,
  change: Partial<SiteObservation> = {},
): SiteObservation {
  const links = new Map([[link.link.name, link]]);
  const seen = { observation: { gateways: gateways.map(seenAs), route }, startedMs: nowMs, isCurrent: true };
  return {
    links,
    newest: links,
    gone: new Set(),
    observed: new Map([[link.link.name, seen]]),
    csrs: new Map(),
    failures: new Map(),
    published: new Map(),
    running: new Set(),
    waiting: new Set(),
    touched: new Set(),
    ...change,
  };
}

/** What it does to the link: "start 0 8", "route 0:8 1:6". */
function deeds(observation: SiteObservation, state: SiteState = newSite): readonly string[] {
  return stepSite(state, observation, nowMs, options).effects.flatMap(wordsOf).sort();
}

function wordsOf(effect: SiteEffect): readonly string[] {
  switch (effect.kind) {
    case "prepare":
    case "start":
      return [`${effect.kind} ${effect.gateway.pair} ${effect.gateway.number}`];
    case "remove":
      return [`remove ${effect.pair} ${effect.number}`];
    case "replace-route":
      return [`route ${effect.hops.map(({ pair, number }) => `${pair}:${number}`).join(" ")}`];
    case "remove-route":
      return ["remove-route"];
    default:
      return [];
  }
}

const atRest = [healthyView("server", 0, old), healthyView("server", 1, other)];
const settled = hops([0, 7], [1, 6]);
const down = (view: AgedView): AgedView => ({ ...view, tunnel: "down", peer: null });

test("site: what is as it should be is not touched, and a route that is right is not written again (trap 61)", () => {
  assert.deepEqual(deeds(observationOf(record(null), atRest, settled)), []);
  assert.deepEqual(deeds(observationOf(record(null), atRest, hops([1, 6], [0, 7]))), []);
});

const cases: readonly { name: string; phase: PairPhase | null; views: readonly AgedView[]; route: RouteView; does: readonly string[] }[] = [
  { name: "a planned generation gets its key", phase: "planned", views: atRest, route: settled, does: ["prepare 0 8"] },
  { name: "an issued one is started beside the old one", phase: "issued", views: atRest, route: settled, does: ["start 0 8"] },
  { name: "an issued one that is up takes no traffic yet", phase: "issued", views: all, route: settled, does: [] },
  { name: "switching moves the route", phase: "switching", views: all, route: settled, does: ["route 0:8 1:6"] },
  {
    name: "switching waits for what does not work here",
    phase: "switching",
    views: [healthyView("server", 0, old), down(healthyView("server", 0, fresh)), healthyView("server", 1, other)],
    route: settled,
    does: [],
  },
  { name: "draining removes nothing", phase: "draining", views: all, route: hops([0, 8], [1, 6]), does: [] },
  {
    name: "draining goes back to the old one when the new one fails",
    phase: "draining",
    views: [healthyView("server", 0, old), down(healthyView("server", 0, fresh)), healthyView("server", 1, other)],
    route: hops([0, 8], [1, 6]),
    does: ["route 0:7 1:6"],
  },
  { name: "removing takes the old one out of the route first", phase: "removing", views: all, route: hops([0, 7], [1, 6]), does: ["route 0:8 1:6"] },
  { name: "removing takes the old one away", phase: "removing", views: all, route: hops([0, 8], [1, 6]), does: ["remove 0 7"] },
  { name: "rolling back takes the route back first", phase: "rolling-back", views: all, route: hops([0, 8], [1, 6]), does: ["route 0:7 1:6"] },
  { name: "rolling back takes the new one away", phase: "rolling-back", views: all, route: settled, does: ["remove 0 8"] },
  {
    name: "rolling back with nothing to go back to takes our route away",
    phase: "rolling-back",
    views: [healthyView("server", 0, fresh)],
    route: hops([0, 8]),
    does: ["remove-route", "start 0 7", "start 1 6"],
  },
  {
    name: "a leftover of an earlier attempt goes before anything is started in its place",
    phase: "issued",
    views: [...atRest, healthyView("server", 0, credentialsOf(5, 1))],
    route: settled,
    does: ["remove 0 5"],
  },
  {
    name: "a generation that is newer than the record is left alone",
    phase: null,
    views: [...atRest, healthyView("server", 0, credentialsOf(9, 1))],
    route: settled,
    does: [],
  },
  {
    name: "a tunnel that is down leaves the route to the other pair",
    phase: null,
    views: [down(healthyView("server", 0, old)), healthyView("server", 1, other)],
    route: settled,
    does: ["route 1:6"],
  },
  {
    name: "with nobody answering, a tunnel that is down leaves the route to the one that OpenVPN calls up",
    phase: null,
    views: [down(healthyView("server", 0, old)), { ...healthyView("server", 1, other), peer: null }],
    route: settled,
    does: ["route 1:6"],
  },
  {
    name: "with nobody answering through tunnels that are up the route stays as it is",
    phase: null,
    views: atRest.map((view) => ({ ...view, peer: null })),
    route: settled,
    does: [],
  },
  { name: "with all tunnels down the route stays as it is", phase: null, views: atRest.map(down), route: settled, does: [] },
  {
    name: "a foreign route is not touched",
    phase: "switching",
    views: all,
    route: { kind: "foreign", what: "10.0.0.0/8" },
    does: [],
  },
  {
    name: "an unknown route is written, and removes nothing before it is read back",
    phase: "removing",
    views: all,
    route: { kind: "unknown" },
    does: ["route 0:8 1:6"],
  },
  { name: "an unknown route is written also when nothing is on its way", phase: null, views: atRest, route: { kind: "unknown" }, does: ["route 0:7 1:6"] },
  {
    name: "rolling back with nothing to go back to takes an unknown route away",
    phase: "rolling-back",
    views: [healthyView("server", 0, fresh)],
    route: { kind: "unknown" },
    does: ["remove-route", "start 0 7", "start 1 6"],
  },
];

for (const { name, phase, views, route, does } of cases) {
  test(`site: ${name}`, () => {
    assert.deepEqual(deeds(observationOf(record(phase), views, route)), does);
  });
}

test("site: a detached link loses its route first, known or not, then its gateways", () => {
  const detached = { ...record(null), detached: true };
  assert.deepEqual(deeds(observationOf(detached, atRest, { kind: "unknown" })), ["remove-route"]);
  assert.deepEqual(deeds(observationOf(detached, atRest, settled)), ["remove-route"]);
  assert.deepEqual(deeds(observationOf(detached, atRest, hops())), ["remove 0 7", "remove 1 6"]);
  assert.deepEqual(deeds(observationOf(detached, [], hops())), []);
});

test("site: nothing is done on an observation that a deed has overtaken, or while a deed is under way", () => {
  const observation = observationOf(record("removing"), all, hops([0, 8], [1, 6]));
  const [entry] = observation.observed;
  assert.ok(entry !== undefined);
  const overtaken = new Map([[entry[0], { ...entry[1], isCurrent: false }]]);
  assert.deepEqual(deeds({ ...observation, observed: overtaken }), []);
  assert.deepEqual(deeds({ ...observation, running: new Set([`${fixtureLink.name} start 1 6`]) }), []);
  assert.deepEqual(deeds({ ...observation, observed: new Map() }), []);
});

test("site: it acts on the record that stands in its own file, not on a newer one that is not saved yet", () => {
  const newest = new Map([[fixtureLink.name, record("removing")]]);
  const observation = observationOf(record("draining"), all, hops([0, 8], [1, 6]), { newest });
  assert.deepEqual(deeds(observation), []);
  assert.ok(stepSite(newSite, observation, nowMs, options).effects.some(({ kind }) => kind === "save-links"));
});

test("site: an old tunnel is idle after the drain without a byte, and traffic begins the drain anew", () => {
  const seen = (atMs: number, bytes: number): SiteObservation => {
    const views = all.map((view) => (view.number === 7 ? { ...view, bytesIn: bytes } : view));
    const observation = observationOf(record("draining"), views, hops([0, 8], [1, 6]));
    const moved = [...observation.observed].map(([name, one]) => [name, { ...one, startedMs: atMs }] as const);
    return { ...observation, observed: new Map(moved) };
  };
  let state: SiteState = newSite;
  const isDrainedAt = (atMs: number, bytes: number): boolean => {
    state = stepSite(state, seen(atMs, bytes), atMs, options).state;
    return state.drains.get(`${fixtureLink.name} 0`)?.isDrained === true;
  };
  assert.equal(isDrainedAt(0, 10), false);
  assert.equal(isDrainedAt(1_000, 11), false);
  assert.equal(isDrainedAt(2_900, 11), false);
  assert.equal(isDrainedAt(3_000, 11), true);
  state = newSite;
  for (let second = 0; second < 60; second += 1) assert.equal(isDrainedAt(second * 1_000, second), false);
  assert.equal(isDrainedAt(60_000, 60), true, "the longest drain is over");
});
