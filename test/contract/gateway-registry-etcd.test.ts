/** The contract of the registry of VPN links on a real etcd; each clause has a prefix of its own. */
import { after, before } from "node:test";
import { connectEtcdGateways } from "../../src/adapters/registry/etcd/open.js";
import { freshFleet, skipWithoutEtcd, startEtcd, type EtcdCluster } from "../support/etcd.js";
import { gatewayRegistryContract } from "./gateway-registry.js";

const skip = await skipWithoutEtcd();
let cluster: EtcdCluster;

if (skip === false) {
  before(async () => {
    cluster = await startEtcd();
  });
  after(() => cluster.stop());
}

const open: Parameters<typeof gatewayRegistryContract>[1] = async () => {
  const options = freshFleet(cluster.endpoints);
  const clients = [0, 1].map(() => connectEtcdGateways(options, () => undefined));
  const [one, other] = await Promise.all(clients);
  const waiting = [one!, other!];
  return { connect: () => waiting.shift()!, close: () => Promise.resolve() };
};

gatewayRegistryContract("etcd", open, skip);
