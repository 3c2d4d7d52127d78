/**
 * The X.509 library, loaded on first use: only gateways pay its 0.2 s and 24 MB. Its dependency injection wants the
 * metadata polyfill before it (docs/design/0061-certificates-of-gateways.md).
 */
import { webcrypto } from "node:crypto";
import type * as library from "@peculiar/x509";

export type X509 = typeof library;

/** ECDSA on P-256 with SHA-256 is the only algorithm: no choice, no downgrade. */
export const signing = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

let loading: Promise<X509> | null = null;

export function loadX509(): Promise<X509> {
  loading ??= load();
  return loading;
}

async function load(): Promise<X509> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  x509.cryptoProvider.set(webcrypto);
  return x509;
}
