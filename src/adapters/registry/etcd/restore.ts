/**
 * Fills the prefix of a fleet in an etcd that runs. A new cluster begins to count at 1, and each write raises the count by
 * one: so it is written to until it is beyond what the fleet has seen.
 */
import { checkEmpty } from "../backup/restore-kv.js";
import type { Kv } from "../kv.js";
import type { EtcdKv } from "./etcd-kv.js";
import { openStore } from "./open.js";
import type { EtcdOptions } from "./options.js";

const counterKey = "restore-counter";
const writesAtOnce = 64;

/** @param beyond every revision from here on is higher @throws PortError REGISTRY_NOT_EMPTY and those of etcd */
export async function fillEtcd(
  options: EtcdOptions,
  beyond: number,
  progress: (what: string) => void,
  fill: (kv: Kv) => Promise<void>,
): Promise<void> {
  const kv = await openStore(options);
  try {
    await checkEmpty(kv);
    await raise(kv, beyond, progress);
    await fill(kv);
  } finally {
    kv.close();
  }
}

async function raise(kv: EtcdKv, beyond: number, progress: (what: string) => void): Promise<void> {
  let { revision } = await kv.get([counterKey]);
  const write = async (): Promise<void> => {
    const outcome = await kv.transaction([], [{ kind: "put", key: counterKey, value: "" }]);
    if (outcome.kind === "committed") revision = Math.max(revision, outcome.revision);
  };
  while (revision < beyond) {
    progress(`raising etcd's revision: ${revision} of ${beyond}`);
    await Promise.all(Array.from({ length: Math.min(writesAtOnce, beyond - revision) }, write));
  }
  await kv.transaction([], [{ kind: "delete", key: counterKey }]);
}
