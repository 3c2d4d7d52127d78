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

export function makeSpi(parts: SpiParts): Spi {
  assert(parts.keyId >= 1 && parts.keyId <= 255, `key id ${parts.keyId} fits 8 bits`);
  assert(parts.index >= 0 && parts.index <= limits.nodeIndexMax, `index ${parts.index} fits 20 bits`);
  assert(parts.number >= 0 && parts.number <= limits.incarnationNumberMax, "number fits 4 bits");
  return (parts.keyId * 2 ** 24 + parts.index * 16 + parts.number) as Spi;
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
