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
  const isWithin = (value: number, least: number, most: number): boolean => value >= least && value <= most;
  assert(isWithin(keyId, 1, 255), "the key id of an SPI is from 1 to 255");
  assert(isWithin(index, 0, limits.nodeIndexMax), "the node index of an SPI fits 20 bits");
  assert(isWithin(number, 0, limits.incarnationNumberMax), "the incarnation number of an SPI fits 4 bits");
  return (keyId * 2 ** 24 + index * 16 + number) as Spi;
}

export function splitSpi(spi: Spi): SpiParts {
  return {
    keyId: Math.floor(spi / 2 ** 24) as KeyId,
    index: (Math.floor(spi / 16) % 2 ** 20) as NodeIndex,
    number: (spi % 16) as IncarnationNumber,
  };
}

/** As `ip xfrm` prints it. */
export function formatSpi(spi: Spi): string {
  return `0x${spi.toString(16).padStart(8, "0")}`;
}
