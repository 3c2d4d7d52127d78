/** One watch of one process in the modelled registry, and how an event reaches it: at once, later, or never. */
import type { NodeName } from "../../core/node.js";
import type { Link, Stream } from "./registry.js";

export interface Watcher<E = never> {
  readonly stream: Stream;
  readonly link: Link;
  readonly owner: NodeName | null;
  readonly send: (event: E) => void;
  /** Sends the whole present value, as after a gap. */
  readonly relist: () => void;
  readonly lose: () => void;
  readonly waiting: (() => void)[];
  lastAtMs: number;
  /** Some of what it waits for is no longer there: only a listing helps. */
  hasGap: boolean;
  /** The roster revision up to which it was sent everything that it sees. */
  toldRevision: number;
}

/** To who died nothing comes, and what a slow watcher is sent waits in order until its stream is released. */
export function hand<E>(watcher: Watcher<E>, event: E): void {
  const { link } = watcher;
  if (!link.isAlive()) return;
  if (!link.held.has(watcher.stream)) watcher.send(event);
  else if (!watcher.hasGap) watcher.waiting.push(() => watcher.send(event));
}
