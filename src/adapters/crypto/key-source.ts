import type { KeyRef } from "../../core/sa.js";
import type { Secret } from "./secret.js";

/** Derives the key of one SA: the AEAD key followed by the 4-byte salt (RFC 4106, 8.1). */
export interface KeySource {
  /**
   * Null when the fleet key is not at hand (its line left the file before this agent started). The
   * caller wipes it.
   */
  derive(key: KeyRef): Secret | null;
}
