/**
 * Reads a registry while it runs. What promises something about roster entries is read before the roster: so a copy never
 * has a report or a fleet record that speaks of entries which it lacks. Records that cannot be read are copied as they are.
 */
import { fleetKey, reportPrefix, rosterListingPrefix, rotationPrefix } from "../keys.js";
import type { KvItem, KvReader } from "../kv.js";
import type { RegistryBackup } from "./backup-file.js";

/** @param prefixes besides the fleet's own: those of VPN links, where the registry holds them @throws PortError */
export async function takeBackup(
  kv: Pick<KvReader, "get" | "range">,
  takenAt: string,
  prefixes: readonly string[] = [],
): Promise<RegistryBackup> {
  const items: KvItem[] = [...(await kv.get([fleetKey])).items];
  for (const prefix of [reportPrefix, rotationPrefix, ...prefixes]) items.push(...(await kv.range(prefix)).items);
  const roster = await kv.range(rosterListingPrefix);
  items.push(...roster.items);
  return { takenAt, revision: roster.revision, items };
}
