/**
 * Nodes that left without a word: from time to time the leader deletes what they left behind.
 *
 * - The SpindleReport of a node whose Node is gone and whose lease has ended, where every node of the fleet is a Node of
 *   this cluster. Both must be so at two looks or more in a row, over at least another lease time. The node then leaves the
 *   roster as by `spindle node remove`. Either sign alone is not enough: a Node may be deleted by mistake while its agent
 *   works, and a silent one may come back. Nor is one look: after an outage of the API server nobody has renewed, and an
 *   agent may take most of its lease time to do so.
 * - A Lease that has ended, of a node that is not on the roster.
 */
import { limits } from "../../../core/limits.js";
import type { Log } from "../../../ports/log.js";
import { systemClock } from "../../system/clock.js";
import type { ApiClient } from "./api-client.js";
import { nodesPath, resourcePath } from "./kube-object.js";
import { listObjects, metadataAlone } from "./list-objects.js";
import type { NodeLeases } from "./node-leases.js";

/** A smaller roster may go at once, say when a lab ends. */
const heldRosterMin = 10;

export class Departures {
  readonly #client: ApiClient;
  readonly #leases: NodeLeases;
  readonly #log: Log;
  /** Who had both signs at the last look, and since when at each; nobody when that failed. */
  #suspects = new Map<string, number>();

  constructor(client: ApiClient, leases: NodeLeases, log: Log) {
    this.#client = client;
    this.#leases = leases;
    this.#log = log;
  }

  /**
   * @param known all nodes that have a SpindleReport or are on the roster, with the version of that report: one that changes
   * meanwhile is of a node that is back, and stays
   */
  async sweep(known: ReadonlyMap<string, string | undefined>, followNodes: boolean): Promise<void> {
    const before = this.#suspects;
    this.#suspects = new Map();
    const standings = await this.#leases.standings();
    for (const [name, { isAlive }] of standings) {
      if (!isAlive && !known.has(name)) await this.#leases.forget(name);
    }
    if (!followNodes) return;
    const silent = [...known.keys()].filter((name) => standings.get(name)?.isAlive !== true);
    if (silent.length === 0) return;
    const { objects } = await listObjects(this.#client, nodesPath, {}, false, metadataAlone);
    const present = new Set(objects.map(({ metadata }) => metadata.name));
    const suspects = silent.filter((name) => !present.has(name));
    if (this.#isHeld(suspects.length, known.size)) return;
    const nowMs = systemClock.nowMs();
    this.#suspects = new Map(suspects.map((name) => [name, before.get(name) ?? nowMs]));
    const departed = suspects.filter((name) => {
      const sinceMs = before.get(name);
      return sinceMs !== undefined && nowMs - sinceMs >= (standings.get(name)?.leaseMs ?? 0);
    });
    await this.#delete(departed, known);
  }

  /** Unless one has renewed while the Nodes were listed. */
  async #delete(departed: readonly string[], known: ReadonlyMap<string, string | undefined>): Promise<void> {
    if (departed.length === 0) return;
    const standings = await this.#leases.standings();
    for (const name of departed) {
      if (standings.get(name)?.isAlive === true) {
        this.#suspects.delete(name);
        continue;
      }
      const path = `${resourcePath(this.#client.namespace, "spindlereports")}/${name}`;
      if ((await this.#client.remove(path, known.get(name))) !== "removed") continue;
      this.#log.write("info", "its Node is gone and its lease has ended: it leaves the roster", { node: name });
    }
  }

  /** Most of the fleet is gone: rather a listing that lies than a departure. */
  #isHeld(departed: number, known: number): boolean {
    if (!isMass(departed, known)) return false;
    const fields = { code: "ROSTER_DELETIONS_HELD", missing: departed, known };
    this.#log.write("error", "most Nodes are gone, their nodes stay on the roster", fields);
    return true;
  }
}

export function isMass(missing: number, known: number): boolean {
  return known >= heldRosterMin && missing > known * limits.massDeletionShareDefault;
}
