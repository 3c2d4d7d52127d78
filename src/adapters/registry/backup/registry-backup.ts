/**
 * A backup of each kind of registry, and how an empty one is filled from it. The embedded registry is read from the controller that
 * keeps it and filled in its state directory, while no controller runs; the others are read and filled where they are.
 */
import { limits } from "../../../core/limits.js";
import type { RegistryTarget } from "../connect.js";
import type { KvReader } from "../kv.js";
import type { RegistryBackup } from "./backup-file.js";
import { restoreInto } from "./restore-kv.js";
import { revive, withNewestFleet, type KnownFleet } from "./revive.js";
import { takeBackup } from "./take-backup.js";

/** Where a backup goes. */
export type RestoreTarget =
  | { readonly kind: "embedded"; readonly stateDir: string }
  | Exclude<RegistryTarget, { kind: "embedded" }>;

export interface RestoreOptions {
  /** What agents knew of the fleet record last: the newest counts, that of the backup among them. */
  readonly known: readonly KnownFleet[];
  /** A revision that programs have seen: the restored registry goes on beyond it. */
  readonly seen: number;
  /** How far it is, for people. */
  readonly progress: (what: string) => void;
}

interface Opened {
  readonly reader: Pick<KvReader, "get" | "range">;
  readonly close: () => void;
}

/** Records of VPN links: ../gateway-registry.ts. */
const linkPrefixes = ["gateway-links/", "gateway-sites/", "gateway-reports/"];

/** @throws PortError */
export async function backUpRegistry(target: RegistryTarget, takenAt: string): Promise<RegistryBackup> {
  const { reader, close } = await openReader(target);
  try {
    return await takeBackup(reader, takenAt, target.kind === "kubernetes" ? [] : linkPrefixes);
  } finally {
    close();
  }
}

/** @returns how many nodes are on its roster @throws PortError REGISTRY_NOT_EMPTY, REGISTRY_RECORD_INVALID */
export async function restoreRegistry(
  target: RestoreTarget,
  backup: RegistryBackup,
  { known, seen, progress }: RestoreOptions,
): Promise<number> {
  const revived = withNewestFleet(revive(backup), known);
  if (target.kind === "kubernetes") {
    const { restoreKubernetes } = await import("../kubernetes/restore.js");
    await restoreKubernetes(target, revived, { seen, progress });
  } else if (target.kind === "etcd") {
    const { fillEtcd } = await import("../etcd/restore.js");
    const beyond = Math.max(revived.revision + limits.etcdRestoreRevisionsSkipped, seen);
    await fillEtcd(target, beyond, progress, (kv) => restoreInto(kv, revived));
  } else {
    const { fillEmbedded } = await import("../embedded/restore.js");
    const beyond = Math.max(revived.revision + limits.restoreRevisionsSkipped, seen);
    await fillEmbedded(target.stateDir, beyond, (kv) => restoreInto(kv, revived));
  }
  return revived.entries.length;
}

async function openReader(target: RegistryTarget): Promise<Opened> {
  if (target.kind === "kubernetes") {
    const { openApiClient } = await import("../kubernetes/open.js");
    const { ObjectReader } = await import("../kubernetes/object-reader.js");
    const client = openApiClient(target);
    return { reader: new ObjectReader(client), close: () => client.close() };
  }
  if (target.kind === "etcd") {
    const { openStore } = await import("../etcd/open.js");
    const kv = await openStore(target);
    return { reader: kv, close: () => kv.close() };
  }
  const { EmbeddedClient } = await import("../embedded/client.js");
  const client = new EmbeddedClient(target.address);
  return { reader: client, close: () => client.close() };
}
