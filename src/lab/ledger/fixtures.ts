/** Books of a small lab, for tests: three nodes, whose dataplanes are the runs 1, 2 and 3. */
import { makeSpi, type IncarnationNumber, type NodeIndex } from "../../core/spi.js";
import type { KeyId } from "../../core/key-id.js";
import type { SentRecord } from "../traffic/journal-format.js";
import { Ledger } from "./ledger.js";

export const labNodes = [0, 1, 2] as const;

export function makeLedger(): Ledger {
  const ledger = new Ledger();
  for (const node of labNodes) ledger.open({ node, instance: node + 1 });
  return ledger;
}

/** As node-1 would seal it. */
export function spiOf(keyId: number): number {
  return makeSpi({ keyId: keyId as KeyId, index: 0 as NodeIndex, number: 0 as IncarnationNumber });
}

/** A packet of node-1 to node-2 under key 1; its ESP number follows its sequence number. */
export function sentPacket(sequence: number, changes: Partial<SentRecord> = {}): SentRecord {
  return {
    receiver: 1,
    sequence,
    blocked: null,
    spi: spiOf(1),
    espSequence: sequence + 1,
    sentMs: 1_000 + sequence * 20,
    ...changes,
  };
}
