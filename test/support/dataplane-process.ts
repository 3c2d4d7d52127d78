/**
 * A userspace dataplane as a process: `node dataplane-process.js ADDRESS SOCKET`. Prints its UDP
 * port when it is ready.
 */
import { ControlServer } from "../../src/adapters/userspace/control-server.js";
import { Dataplane } from "../../src/adapters/userspace/dataplane.js";

const [address = "", socketPath = ""] = process.argv.slice(2);
const dataplane = await Dataplane.open({
  local: { address, udpPort: 0 },
  nowMs: () => performance.now(),
  onDeliver: () => undefined,
  onDrop: () => undefined,
});
const server = await ControlServer.listen(dataplane, socketPath);
process.once("SIGTERM", () => {
  void server.close().then(() => dataplane.close());
});
process.stdout.write(`${dataplane.local.udpPort}\n`);
