/** Values for the tests of this folder. Nothing else imports it. */
import { createHash } from "node:crypto";
import type { KeyId } from "../../core/key-id.js";
import type { IncarnationId, NodeName } from "../../core/node.js";
import type {
  Endpoint,
  KeyEnd,
  KeyRef,
  PolicyAction,
  PolicySpec,
  SaSlot,
  SaSpec,
} from "../../core/sa.js";
import { makeSpi, type IncarnationNumber, type NodeIndex, type Spi } from "../../core/spi.js";
import type { KeySource } from "../crypto/key-source.js";
import { Secret } from "../crypto/secret.js";

/** One node of a test: who it is and where its ESP goes. */
export interface FixtureNode {
  readonly end: KeyEnd;
  readonly endpoint: Endpoint & { readonly udpPort: number };
}

export function makeNode(index: number, address: string, udpPort: number): FixtureNode {
  const end = {
    name: `node-${index}` as NodeName,
    index: index as NodeIndex,
    incarnationId: index.toString(16).padStart(32, "0") as IncarnationId,
  };
  return { end, endpoint: { address, udpPort } };
}

export function spiOf(keyId: number, sender: KeyEnd): Spi {
  return makeSpi({ keyId: keyId as KeyId, index: sender.index, number: 1 as IncarnationNumber });
}

export function keyRef(keyId: number, from: FixtureNode, to: FixtureNode): KeyRef {
  return { keyId: keyId as KeyId, from: from.end, to: to.end, family: "ipv4", mode: "transport" };
}

/** The SA from `from` to `to`, as seen from the end that `direction` names. */
export function saSpec(
  direction: "in" | "out",
  keyId: number,
  from: FixtureNode,
  to: FixtureNode,
): SaSpec {
  return {
    direction,
    spi: spiOf(keyId, from.end),
    source: from.endpoint,
    destination: to.endpoint,
    key: keyRef(keyId, from, to),
  };
}

export function policySpec(
  direction: "in" | "out",
  peer: FixtureNode,
  action: PolicyAction,
): PolicySpec {
  return { direction, peer: peer.end.name, family: "ipv4", remote: peer.endpoint, action };
}

/** Recognises the SAs of `keyIds` between `local` and `peer`. */
export function recogniser(local: FixtureNode, peer: FixtureNode, keyIds: readonly number[]) {
  return (slot: SaSlot): KeyRef | null => {
    const [from, to] = slot.direction === "out" ? [local, peer] : [peer, local];
    const keyId = keyIds.find((candidate) => spiOf(candidate, from.end) === slot.spi);
    return keyId === undefined ? null : keyRef(keyId, from, to);
  };
}

/** Derives keys from the reference alone: the same in every process of a test. */
export class FakeKeySource implements KeySource {
  /** Key ids whose fleet key is not at hand. */
  readonly missing = new Set<number>();
  /** Every secret handed out, to see that it was wiped. */
  readonly handedOut: Secret[] = [];

  readonly #bytes: 20 | 36;
  readonly #label: string;

  /** Sources with different labels derive different keys. */
  constructor(bytes: 20 | 36 = 20, label = "fixture") {
    this.#bytes = bytes;
    this.#label = label;
  }

  derive(key: KeyRef): Secret | null {
    if (this.missing.has(key.keyId)) return null;
    const secret = new Secret(this.bytesOf(key));
    this.handedOut.push(secret);
    return secret;
  }

  bytesOf(key: KeyRef): Buffer {
    const text = `${this.#label} ${JSON.stringify(key)}`;
    const halves = ["a", "b"].map((half) =>
      createHash("sha256").update(half).update(text).digest(),
    );
    return Buffer.from(Buffer.concat(halves).subarray(0, this.#bytes));
  }
}
