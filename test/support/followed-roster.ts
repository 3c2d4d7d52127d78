/** A roster as a watch tells it, as an agent would keep it; and what the watch may never do. */
import assert from "node:assert/strict";
import type { RosterEntry } from "../../src/core/node.js";
import type { RegistryPort, WatchEvent } from "../../src/ports/registry.js";
import { Recorder } from "../contract/recorder.js";

type RosterEvent = WatchEvent<RosterEntry>;

/** Longer than it takes to notice a silent member: two looks, and a request's time at another one. */
const deadlineMs = 40_000;

export class FollowedRoster {
  readonly #recorder = new Recorder<RosterEvent>(deadlineMs);
  readonly #entries = new Map<string, RosterEntry>();
  #revision = 0;
  #isCurrent = false;

  constructor(registry: RegistryPort) {
    registry.watchRoster((event) => {
      this.#apply(event);
      this.#recorder.listener(event);
    });
  }

  get names(): readonly string[] {
    return [...this.#entries.keys()].sort();
  }

  get revision(): number {
    return this.#revision;
  }

  /** How often it was told of each kind. */
  count(kind: RosterEvent["kind"]): number {
    return this.#recorder.events.filter((event) => event.kind === kind).length;
  }

  /** Waits until the watch says that its view is current, and the view is that. */
  shows(names: readonly string[]): Promise<void> {
    const wanted = [...names].sort().join();
    return this.#recorder.until(() => this.#isCurrent && this.names.join() === wanted);
  }

  lost(): Promise<void> {
    return this.#recorder.until(() => !this.#isCurrent);
  }

  #apply(event: RosterEvent): void {
    if (event.kind === "disconnected") {
      this.#isCurrent = false;
      return;
    }
    assert.ok(event.revision >= this.#revision, "revisions never fall");
    if (event.kind !== "listing") assert.ok(event.revision > this.#revision, "each change once");
    this.#revision = event.revision;
    if (event.kind === "listing") this.#replace(event.items);
    if (event.kind === "put") this.#entries.set(event.item.name, event.item);
    if (event.kind === "removed") this.#entries.delete(event.name);
  }

  #replace(items: readonly RosterEntry[]): void {
    this.#isCurrent = true;
    this.#entries.clear();
    for (const item of items) this.#entries.set(item.name, item);
  }
}
