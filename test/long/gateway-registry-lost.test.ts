/** Real OpenVPN, hub and sites: the hub's registry is deleted under traffic, and comes back empty (docs/design/0063). */
import assert from "node:assert/strict";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as wait } from "node:timers/promises";
import { GatewayLab } from "../../src/lab/gateways/gateway-lab.js";
import type { GatewayRotationResult } from "../../src/lab/gateways/gateway-report.js";
import { gatewaysMissing } from "../support/gateways.js";
import { quietHost } from "../support/lab.js";

test("gateways: a registry that is gone gets its link back from the sites, and no packet is lost", { skip: gatewaysMissing() }, async () => {
  const lab = await GatewayLab.create({ gateways: 2, rotations: 2, behaviour: "spindle", registry: "embedded", keep: false }, quietHost);
  try {
    await lab.start();
    assert.equal((await lab.rotate()).outcome, "done");
    rmSync(join(lab.directory, "hub/registry"), { recursive: true });
    process.kill(Number(readFileSync(join(lab.directory, "hub-program.pid"), "utf8")), "SIGKILL");
    const second = await rotatePatiently(lab);
    assert.equal(second.outcome, "done");
    assert.match(readFileSync(join(lab.directory, "hub-program.log"), "utf8"), /GATEWAY_REGISTRY_BEHIND/);
    const { traffic } = await lab.finish();
    assert.equal(traffic.lost, 0);
    assert.deepEqual(traffic.streamFailures, []);
    console.log(JSON.stringify({ sent: traffic.sent, lost: traffic.lost, longestGapMs: traffic.longestGapMs }));
  } finally {
    await lab.abandon();
  }
});

/** The new hub takes the request once it has begun, and the link is there. */
async function rotatePatiently(lab: GatewayLab): Promise<GatewayRotationResult> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await lab.rotate();
    } catch (cause) {
      if (attempt > 60) throw cause;
      await wait(500);
    }
  }
}
