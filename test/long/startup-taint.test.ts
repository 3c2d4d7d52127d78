/** The start-up taint when 200 nodes join at once, on a real API server. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { skipWithoutKubernetes, startSharedServer } from "../support/kubernetes.js";
import { scaleUp } from "../support/scale-up.js";

const server = await startSharedServer();
after(() => server?.stop());

test("start-up taint: 200 nodes join at once, a sick one holds nobody beyond the time-out", {
  skip: skipWithoutKubernetes,
  timeout: 300_000,
}, async (context) => {
  assert.ok(server !== null);
  await scaleUp(context, server, { namespace: "large", from: 0, joins: 200, coordination: "barrier", timesOut: true });
});
