import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connectEmbeddedGateways, startEmbedded } from "../../src/adapters/registry/embedded/open.js";
import { gatewayRegistryContract } from "./gateway-registry.js";

gatewayRegistryContract("embedded", async () => {
  const directory = await mkdtemp(join(tmpdir(), "spindle-registry-"));
  const host = await startEmbedded({ stateDir: directory });
  return {
    connect: () => connectEmbeddedGateways({ address: host.address }),
    close: async () => {
      await host.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
