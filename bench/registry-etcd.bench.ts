/** A restart of etcd under watches (registry-restart.ts), by resuming and by listing anew. */
import { EtcdKv } from "../src/adapters/registry/etcd/etcd-kv.js";
import { KvRegistry } from "../src/adapters/registry/kv-registry.js";
import { compact, freshFleet, startEtcd } from "../test/support/etcd.js";
import { measureRestarts } from "./registry-restart.js";

const cluster = await startEtcd();
const options = freshFleet(cluster.endpoints);
try {
  await measureRestarts({
    name: "etcd",
    connect: () => {
      const kv = new EtcdKv(options);
      return new KvRegistry(kv, { skipped: () => undefined, closed: () => kv.close() });
    },
    restart: async () => {
      const [member] = cluster.members;
      await member?.stop("SIGKILL");
      member?.start();
      await cluster.ready();
    },
    forget: () => compact(cluster),
  });
} finally {
  await cluster.stop();
}
