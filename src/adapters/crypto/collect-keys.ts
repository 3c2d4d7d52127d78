/**
 * Key objects of the platform hold a copy of the key that nobody can overwrite. OpenSSL clears it when the object is collected, which an
 * idle program may not do for hours. So where a key is retired, collection is asked for.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

let collect: (() => void) | null = null;

/** Stops this program for some tens of milliseconds. */
export function collectKeys(): void {
  collect ??= makeCollector();
  collect();
}

/** The flag has effect on what is made after it: a context of its own. */
function makeCollector(): () => void {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as () => void;
}
