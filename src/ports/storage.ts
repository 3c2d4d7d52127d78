/** The state directory of one agent. */
import type { Done } from "./failure.js";

export interface StoragePort {
  /**
   * Reads a whole document, null when it does not exist. A corrupt one is set aside as `NAME.corrupt` and read as null
   * after the log said so.
   */
  load(name: string, done: Done<string | null>): void;
  /**
   * Replaces the document atomically and durably: after `done`, a crash at any byte leaves this text or a newer one.
   * `format` makes the text of an immutable value when it is needed: of a document that a newer one overtakes, never.
   */
  save(name: string, format: () => string, done: Done<null>): void;
}
