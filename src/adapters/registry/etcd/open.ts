/** The etcd registry: kv-registry.ts over an etcd cluster. */
import type { RegistryPort } from "../../../ports/registry.js";
import { KvRegistry } from "../kv-registry.js";
import type { InvalidRecord } from "../records.js";
import { EtcdKv } from "./etcd-kv.js";
import { credentialsOf } from "./link.js";
import { readPassword } from "./login.js";
import type { EtcdOptions } from "./options.js";

/**
 * Comes back by itself whenever a member or the way to it fails, so it may be called before the
 * cluster is there. Files are read once here, so that a wrong path is known at the start.
 * @throws PortError REGISTRY_TLS_UNREADABLE, REGISTRY_PASSWORD_UNREADABLE
 */
export async function connectEtcd(
  options: EtcdOptions,
  skipped: (record: InvalidRecord) => void,
): Promise<RegistryPort> {
  credentialsOf(options.tls);
  if (options.login !== null) await readPassword(options.login.passwordFile);
  const kv = new EtcdKv(options);
  return new KvRegistry(kv, { skipped, closed: () => kv.close() });
}
