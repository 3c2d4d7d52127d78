/** Fills the store of an embedded registry that no controller keeps at the moment. */
import { checkEmpty } from "../backup/restore-kv.js";
import type { Kv } from "../kv.js";
import { EmbeddedEngine } from "./engine.js";
import { openStore } from "./open.js";

/**
 * @param beyond every revision from here on is higher
 * @throws PortError REGISTRY_STORE_IN_USE while a controller runs, REGISTRY_NOT_EMPTY, REGISTRY_STORE_…
 */
export async function fillEmbedded(stateDir: string, beyond: number, fill: (kv: Kv) => Promise<void>): Promise<void> {
  const store = await openStore(stateDir);
  const engine = new EmbeddedEngine(store);
  try {
    await checkEmpty(engine);
    await store.raiseRevision(beyond);
    await fill(engine);
  } finally {
    await engine.close();
  }
}
