/** A node's dataplane and the hosts behind it, as the lab uses them, whatever encrypts. */
import type { Endpoint } from "../../core/sa.js";
import type { XfrmCounters } from "../../core/xfrm-counters.js";
import type { TrafficPlan } from "../traffic/source.js";

export interface NodeDataplane {
  start(): void;
  /** Of its present run, null while it is down. Runs are numbered through the whole lab. */
  readonly run: number | null;
  /** Its parts of the agent's file, as soon as they are known. */
  readonly sections: Promise<DataplaneSections>;
  /** Where peers send to, for as long as the lab lasts. */
  readonly endpoint: Promise<Endpoint>;
  /** Runs where the node's programs are: what is started in it stays there. */
  within<T>(run: () => T): T;
  /** Sends as planned, now and after each restart. */
  send(plan: Omit<TrafficPlan, "instance">): void;
  /** Resolves when the last packet was sent and everything before it was told. */
  stopTraffic(): Promise<void>;
  /** Null when it is down. */
  counters(): Promise<XfrmCounters | null>;
  /** All its SAs and policies are lost at once; it comes back by itself, with its old address. */
  reboot(): void;
  /** Ends it for good. */
  stop(graceMs: number): Promise<void>;
}

export interface DataplaneSections {
  readonly node: { readonly addresses: object; readonly udpPort?: number };
  readonly dataplane: object;
}
