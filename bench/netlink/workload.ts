/** The SAs of the benchmark: those of one rotation on a node with `peers` peers. */
import { createHash } from "node:crypto";
import type { XfrmSa } from "../../src/adapters/netlink/codec/model.js";
import type { MessageBatch } from "../../src/adapters/netlink/codec/batch.js";
import { appendSa } from "../../src/adapters/netlink/codec/sa.js";

/** SAs that staging took 32 s for on a cluster of 1,000 nodes (cilium #44335). */
export const reportedSas = 3_240;

const local = "10.255.0.1";
const keyBytes = 20;

/** Half inbound, half outbound; each with an SPI of its own. */
export function makeSas(count: number): readonly XfrmSa[] {
  return Array.from({ length: count }, (_, index) => {
    const peer = `10.${1 + (index >> 17)}.${(index >> 9) & 0xff}.${(index >> 1) & 0xff}`;
    const isInbound = index % 2 === 0;
    return {
      family: "ipv4",
      source: isInbound ? peer : local,
      destination: isInbound ? local : peer,
      spi: 0x0300_0000 + index,
      mode: "transport",
      reqid: 0x5350_0001,
      ifId: null,
      replayWindow: 1_024,
      esn: true,
      encapsulation: null,
    };
  });
}

export function makeKeys(count: number): readonly Uint8Array[] {
  return Array.from({ length: count }, (_, index) =>
    createHash("sha256").update(`bench ${index}`).digest().subarray(0, keyBytes),
  );
}

export interface Item {
  readonly sa: XfrmSa;
  readonly key: Uint8Array;
}

export function makeItems(count: number): readonly Item[] {
  const keys = makeKeys(count);
  return makeSas(count).map((sa, index) => ({ sa, key: keys[index]! }));
}

export function appendItem(batch: MessageBatch, { sa, key }: Item): void {
  appendSa(batch, "add", sa, key);
}
