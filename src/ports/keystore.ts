/** Fleet keys by name. Bytes stay behind this port. */
import type { KeyIdentity } from "../core/key-id.js";
import type { Stop } from "./failure.js";

/** One reading of the key file. */
export type KeyFileReading =
  | { readonly kind: "valid"; readonly keys: readonly KeyIdentity[] }
  /** The running keys stay; `message` names file and line and never shows a byte of key. */
  | { readonly kind: "invalid"; readonly code: string; readonly message: string };

export interface KeystorePort {
  /** Calls back with the first reading and with each one that differs. Offered keys stay usable until forgotten. */
  watch(read: (reading: KeyFileReading) => void): Stop;
  /** Wipes the bytes of a retired key, unless the file still offers it. */
  forget(key: KeyIdentity): void;
}
