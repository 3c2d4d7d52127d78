/** What the kernels counted as lost, and that it is nothing. */
import assert from "node:assert/strict";
import { openXfrmStat } from "../../../src/adapters/netlink/xfrm-stat.js";
import type { Flow } from "./datagram-stream.js";
import type { Namespace } from "./namespace.js";

interface Place {
  readonly namespace: Namespace;
}

/** The counters of XFRM that are above zero. */
export function xfrmErrors({ namespace }: Place): Readonly<Record<string, number>> {
  const stat = namespace.within(openXfrmStat);
  const counters = Object.entries(stat.read());
  stat.close();
  return Object.fromEntries(counters.filter(([, count]) => count > 0));
}

/** Both in one: what is lost and what the kernels say of it tell the cause together. */
export function assertHitless({ sent, lost }: Flow, places: readonly Place[], sentMin = 20): void {
  assert.deepEqual({ lost, errors: places.map(xfrmErrors) }, { lost: [], errors: places.map(() => ({})) });
  assert.ok(sent > sentMin, `${sent} sent`);
}
