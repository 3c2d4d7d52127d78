/** Links rotate in virtual time, with the hub's and the sites' own code: what must hold when nothing goes wrong. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Link, LinkName, SiteName } from "../../src/core/gateway/link.js";
import { SimGatewayFleet } from "../../src/sim/gateway/fleet.js";

const link: Link = { name: "w-1-w-10" as LinkName, server: "w-1" as SiteName, client: "w-10" as SiteName, pairs: 2 };

test("gateways: a rotation of two pairs loses no packet, logs no error, and leaves one generation of each", () => {
  const fleet = new SimGatewayFleet({ seed: 1, links: [link] });
  assert.ok(fleet.bringUp());
  for (let rotation = 1; rotation <= 3; rotation += 1) {
    const tookMs = fleet.rotateAndRest(link, 120_000);
    assert.ok(tookMs !== null && tookMs < 30_000, `rotation ${rotation} took ${tookMs} ms`);
  }
  assert.ok(fleet.traffic.sent > 3_000);
  assert.deepEqual(fleet.traffic.lost, []);
  assert.deepEqual(fleet.errors(), []);
  assert.equal([...fleet.tunnels.all].length, 4);
  assert.deepEqual(fleet.record(link.name)?.pairs.map(({ current }) => current?.number), [7, 8]);
});

test("gateways: a link with one pair rotates as well, on that pair alone", () => {
  const single = { ...link, pairs: 1 };
  const fleet = new SimGatewayFleet({ seed: 2, links: [single] });
  assert.ok(fleet.bringUp());
  assert.ok(fleet.rotateAndRest(single, 120_000) !== null);
  assert.deepEqual(fleet.traffic.lost, []);
});
