/**
 * The contract of RegistryPort (src/ports/registry.ts), clause by clause. Every adapter runs it
 * with a harness of its own and says in `supports` what it cannot do; clauses that need it are then
 * left out.
 */
import { test, type TestContext } from "node:test";
import type { RegistryPort } from "../../src/ports/registry.js";
import { leaseClauses } from "./registry-leases.js";
import { rosterClauses } from "./registry-roster.js";
import { singleClauses } from "./registry-singles.js";
import { watchClauses } from "./registry-watches.js";

export interface RegistrySupports {
  /** Acknowledged writes outlive a restart of the store. */
  readonly durable: boolean;
  /** A watch goes on after an outage without listing again. */
  readonly resume: boolean;
  /** The harness can make the store forget its history. */
  readonly compaction: boolean;
  /** The harness can write a record that no version of ours would write. */
  readonly rawRecords: boolean;
}

/** A record that the harness writes as it is. */
export type RecordPlace =
  | { readonly kind: "roster" | "report"; readonly name: string }
  | { readonly kind: "fleet" };

export interface RegistryClient {
  readonly registry: RegistryPort;
  /** Keys of records that this client skipped. */
  readonly skipped: readonly string[];
  /** The program is gone from one moment to the next: nothing is resigned or said. */
  vanish(): void;
}

/** One store, empty at first. */
export interface FleetRegistry {
  connect(): RegistryClient;
  /**
   * Cuts off all clients while `meanwhile` runs; it gets a registry that still reaches the store.
   */
  outage(meanwhile: (inside: RegistryPort) => Promise<void>): Promise<void>;
  /** The store ends and starts again; clients come back by themselves. */
  restart(): Promise<void>;
  forgetHistory(): Promise<void>;
  writeRaw(place: RecordPlace, text: string): Promise<void>;
  close(): Promise<void>;
}

/** A test that gets a store of its own, and needs something of `supports`, or nothing. */
export type Clause = (
  name: string,
  body: (fleet: FleetRegistry) => Promise<void>,
  needs?: keyof RegistrySupports,
) => void;

export function registryContract(
  adapter: string,
  supports: RegistrySupports,
  makeFleetRegistry: (context: TestContext) => Promise<FleetRegistry>,
  /** Why the adapter cannot be tested here, as the `skip` option of a test. */
  skipAll: string | false = false,
): void {
  const clause: Clause = (name, body, needs) => {
    // What an adapter does not claim is no test that waits for something: nothing may skip in CI.
    if (needs !== undefined && !supports[needs]) return;
    test(`registry/${adapter}: ${name}`, { skip: skipAll, timeout: 60_000 }, async (context) => {
      const fleet = await makeFleetRegistry(context);
      try {
        await body(fleet);
      } finally {
        await fleet.close();
      }
    });
  };
  rosterClauses(clause);
  watchClauses(clause);
  singleClauses(clause);
  leaseClauses(clause);
}
