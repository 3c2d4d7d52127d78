/** The etcd registry: kv-registry.ts over an etcd cluster. */
import type { GatewayRegistryPort } from "../../../ports/gateway-registry.js";
import type { RegistryPort } from "../../../ports/registry.js";
import { KvGatewayRegistry } from "../gateway-registry.js";
import { KvRegistry } from "../kv-registry.js";
import type { InvalidRecord } from "../records.js";
import { sealedKv } from "../sealed-kv.js";
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
  const kv = await openStore(options);
  return new KvRegistry(sealedKv(kv), { skipped, closed: () => kv.close() });
}

/** The VPN links of a cluster, in the same manner. */
export async function connectEtcdGateways(
  options: EtcdOptions,
  skipped: (record: InvalidRecord) => void,
): Promise<GatewayRegistryPort> {
  const kv = await openStore(options);
  return new KvGatewayRegistry(kv, { skipped, closed: () => kv.close() });
}

/** The store alone; the caller closes it. @throws PortError REGISTRY_TLS_UNREADABLE, REGISTRY_PASSWORD_UNREADABLE */
export async function openStore(options: EtcdOptions): Promise<EtcdKv> {
  credentialsOf(options.tls);
  if (options.login !== null) await readPassword(options.login.passwordFile);
  return new EtcdKv(options);
}
