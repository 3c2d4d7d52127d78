/**
 * Security parameter index: key id (8 bits) | sender index (20 bits) | incarnation number (4 bits).
 * Unique at each receiver without marks, because index and number are allotted by the registry (design 4.1).
 * Values below 256 are reserved (RFC 4303, 2.1): a key id of at least 1 keeps every SPI above 0x01000000.
 */
import { assert } from "./assert.js";
import { limits } from "./limits.js";
import type { KeyId } from "./key-id.js";

declare const brand: unique symbol;
export type Spi = number & { readonly [brand]: "Spi" };
export type NodeIndex = number & { readonly [brand]: "NodeIndex" };
export type IncarnationNumber = number & { readonly [brand]: "IncarnationNumber" };

export interface SpiParts {
  readonly keyId: KeyId;
  readonly index: NodeIndex;
  readonly number: IncarnationNumber;
}

export function makeSpi({ keyId, index, number }: SpiParts): Spi {
  return spiOf(keyId, index, number);
}

/** As `makeSpi`, of parts that are not together in one object: asked for several times per look at a peer. */
export function spiOf(keyId: KeyId, index: NodeIndex, number: IncarnationNumber): Spi {
  assert(keyId >= 1 && keyId <= 255, "the key id of an SPI is from 1 to 255");
  assert(index >= 0 && index <= limits.nodeIndexMax, "the node index of an SPI fits 20 bits");
  assert(number >= 0 && number <= limits.incarnationNumberMax, "the incarnation number of an SPI fits 4 bits");
  return (keyId * 2 ** 24 + index * 16 + number) as Spi;
}

/** Are these its sender's index and incarnation number? Of any number that a kernel may hold. */
export function isSentBy(spi: Spi, index: NodeIndex, number: IncarnationNumber): boolean {
  return spi % 2 ** 24 === index * 16 + number;
}

export function keyIdOf(spi: Spi): KeyId {
  return Math.floor(spi / 2 ** 24) as KeyId;
}

export function splitSpi(spi: Spi): SpiParts {
  return {
    keyId: keyIdOf(spi),
    index: (Math.floor(spi / 16) % 2 ** 20) as NodeIndex,
    number: (spi % 16) as IncarnationNumber,
  };
}

/** As `ip xfrm` prints it. */
export function formatSpi(spi: Spi): string {
  return `0x${spi.toString(16).padStart(8, "0")}`;
}
