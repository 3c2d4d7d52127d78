/**
 * Child program of the durability tests: writes to a store as fast as it acknowledges, eight
 * transactions at a time, and says so for each, until it is killed.
 *
 *   store-writer DIRECTORY SEED         prints `KEY REVISION VALUE` for each acknowledged write
 *   store-writer DIRECTORY SEED COUNT   one at a time; copies the file after each, then exits
 */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { EmbeddedStore } from "../../src/adapters/registry/embedded/store.js";
import { makePrng, type Prng } from "../../src/core/prng.js";

const [, , directory = "", seed = "", count = ""] = process.argv;
const store = new EmbeddedStore(directory);
const prng = makePrng(Number(seed));
if (count === "") await Promise.all(Array.from({ length: 8 }, () => writeForEver(prng)));
else await writeAndCopy(prng, Number(count));

async function writeForEver(chance: Prng): Promise<void> {
  for (;;) await writeOne(chance);
}

async function writeAndCopy(chance: Prng, copies: number): Promise<void> {
  for (let number = 0; number < copies; number++) {
    await writeOne(chance);
    copyFileSync(join(directory, "data.mdb"), join(directory, `copy-${number}`));
  }
  process.exit(0); // Without closing the store, as a crash would.
}

async function writeOne(chance: Prng): Promise<void> {
  const key = `k/${chance.below(40)}`;
  const value = String(chance.next()).padEnd(chance.below(8_000), "x");
  const outcome = await store.commit([], [{ kind: "put", key, value }]);
  if (outcome.kind !== "committed") throw new Error("nothing was compared");
  process.stdout.write(`${key} ${outcome.revision} ${value}\n`);
}
