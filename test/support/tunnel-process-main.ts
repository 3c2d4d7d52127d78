/** The program of `TunnelProcess`: runs what it is told and answers. */
import { openRouteTable } from "../../src/adapters/netlink/route/route-table.js";
import { openTunnels } from "../../src/adapters/openvpn/tunnels.js";
import { systemClock } from "../../src/adapters/system/clock.js";
import type { Call, Reply, TunnelProcessOptions } from "./tunnel-process.js";

const options = JSON.parse(process.argv[2]!) as TunnelProcessOptions;
const tunnels = await openTunnels({
  ...options,
  program: "/usr/sbin/openvpn",
  routes: await openRouteTable(),
  clock: systemClock,
  log: { write: () => undefined },
});

process.on("message", ({ id, operation, values }: Call) => {
  const run = tunnels[operation].bind(tunnels) as (...all: unknown[]) => void;
  run(...values, (result: Reply["result"]) => process.send!({ id, result } satisfies Reply));
});
// The parent is gone: so is the test.
process.on("disconnect", () => process.exit());
process.send!("ready");
