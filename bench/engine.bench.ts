/**
 * Virtual time beside simjs, the best-known discrete-event library for JavaScript: events with empty handlers that each
 * schedule the next one, with a given number pending all the time (the hold model).
 */
import { makePrng } from "../src/core/prng.js";
import { VirtualTime } from "../src/sim/engine/virtual-time.js";

interface Engine {
  readonly name: string;
  /** Runs at least `events` events with `pending` waiting; returns how many ran. */
  readonly run: (pending: number, events: number) => number;
}

/** What of simjs is used here; the package has no types. */
interface Simjs {
  readonly Sim: new () => {
    addEntity(kind: new () => SimjsEntity): void;
    simulate(endTime: number, eventsMax: number): boolean;
  };
  readonly Entity: new () => SimjsEntity;
}

interface SimjsEntity {
  setTimer(duration: number): { done(callback: () => void, self: object): void };
}

/** The package is made for browsers: it puts itself on `window` and exports nothing. */
async function loadSimjs(): Promise<Simjs> {
  const window: { Sim?: Simjs } = {};
  Object.assign(globalThis, { window });
  // It has no types: a name that the compiler does not know is not looked up.
  const name: string = "simjs";
  await import(name);
  if (window.Sim === undefined) throw new Error("simjs did not load");
  return window.Sim;
}

const simjs = await loadSimjs();

const targetPerSecond = 2_000_000;
const rounds = 5;

/** Delays drawn before the clock starts: drawing is not what is measured. */
const delays = drawDelays(65_536);

function drawDelays(count: number): Float64Array {
  const prng = makePrng(1);
  return Float64Array.from({ length: count }, () => prng.share() * 1_000);
}

function nextDelay(): () => number {
  let drawn = 0;
  return () => delays[(drawn = (drawn + 1) & 65_535)] ?? 0;
}

function runOurs(pending: number, events: number): number {
  const time = new VirtualTime();
  const delayMs = nextDelay();
  const hold = (): void => time.post(time.nowMs + delayMs(), hold);
  for (let i = 0; i < pending; i += 1) hold();
  while (time.events < events) time.runUntil(time.nowMs + (1_000 * events) / pending / 10);
  return time.events;
}

function runSimjs(pending: number, events: number): number {
  const sim = new simjs.Sim();
  const delayMs = nextDelay();
  let ran = 0;
  // eslint-disable-next-line no-restricted-syntax -- simjs runs nothing but subclasses of its Entity
  class Holder extends simjs.Entity {
    start(): void {
      this.hold();
    }

    hold(): void {
      ran += 1;
      this.setTimer(delayMs()).done(this.hold, this);
    }
  }
  for (let i = 0; i < pending; i += 1) sim.addEntity(Holder);
  sim.simulate(Infinity, pending + events);
  return ran;
}

/** The best of some rounds, in events per second: other programs only take away. */
function eventsPerSecond({ run }: Engine, pending: number, events: number): number {
  let best = 0;
  for (let round = 0; round < rounds; round += 1) {
    const startMs = performance.now();
    const ran = run(pending, events);
    best = Math.max(best, (ran * 1_000) / (performance.now() - startMs));
  }
  return best;
}

console.log("\nengine, events per second with empty handlers");
for (const pending of [1_000, 10_000, 100_000]) {
  const ours = eventsPerSecond({ name: "spindle", run: runOurs }, pending, 1_000_000);
  const theirs = eventsPerSecond({ name: "simjs", run: runSimjs }, pending, 200_000);
  const verdict = ours >= targetPerSecond ? "met" : "MISSED";
  console.log(
    `  ${String(pending).padStart(7)} pending  spindle ${inMillions(ours)}  simjs ${inMillions(theirs)}` +
      `  ${(ours / theirs).toFixed(1)} times  target ${inMillions(targetPerSecond)}  ${verdict}`,
  );
}

function inMillions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(2)} M/s`;
}
