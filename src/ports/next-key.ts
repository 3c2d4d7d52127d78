/**
 * Makes the next fleet key and puts it where the nodes read their key files. Nothing of it but the id comes back: key
 * bytes never reach who asks.
 */
import type { NextKeyOrder } from "../core/fleet/controller-state.js";
import type { KeyId } from "../core/key-id.js";
import type { Done } from "./failure.js";

export interface NextKeyPort {
  /**
   * The id of the key that follows, and that is there when this succeeds: a new one, unless one that follows is there already.
   * Nothing is written over that others have written meanwhile: `SECRET_CONFLICT`, after which it may be asked for again.
   */
  write(order: NextKeyOrder, done: Done<KeyId>): void;
}
