/**
 * Child program of the durability tests: writes to a store until it refuses, and prints as JSON
 * what it saw then. Its parent limits the size of files.
 *
 *   store-filler DIRECTORY
 */
import { EmbeddedStore } from "../../src/adapters/registry/embedded/store.js";
import { PortError } from "../../src/adapters/port-error.js";

const [, , directory = ""] = process.argv;
const store = new EmbeddedStore(directory);
let acknowledged = 0;

const first = await fill();
const second = await fill();
const told = store.changes("", 0, store.revision)?.length;
const { revision, items } = store.range("k/");
console.log(JSON.stringify({ first, second, acknowledged, revision, items: items.length, told }));
// What is left unheard would end the program here.
await new Promise((resolve) => setImmediate(resolve));
process.exit(0);

/** The code of the refusal. */
async function fill(): Promise<string> {
  const value = "x".repeat(20_000);
  try {
    for (;;) {
      await store.commit([], [{ kind: "put", key: `k/${acknowledged}`, value }]);
      acknowledged += 1;
    }
  } catch (cause) {
    if (cause instanceof PortError) return cause.code;
    throw cause;
  }
}
