/** One rotation under traffic on a real Kubernetes API server, by the command that users run. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { skipWithoutKubernetes } from "../support/kubernetes.js";
import { runLabCommand, summaryOf } from "../support/lab.js";

const writesPerNodeMax = 8;
const watchEventsPerNodeMax = 25;
const options = { skip: skipWithoutKubernetes, timeout: 120_000 };

test("lab on Kubernetes: a rotation behind a barrier loses nothing, with few writes", options, async () => {
  const result = await runLabCommand("--registry", "kubernetes", "--rotations", "1");
  const { report, code } = result;
  assert.equal(code, 0, summaryOf(result));
  assert.ok(report.ok && report.packets.sent > 0);
  assert.equal(report.packets.lost, 0);
  assert.deepEqual(report.validity.problems, []);
  const [rotation] = report.rotations;
  assert.equal(rotation?.forcedRetires, 0);
  const { writes, watchEvents } = rotation.registry;
  assert.ok(writes > report.nodes && writes <= writesPerNodeMax * report.nodes, summaryOf(result));
  assert.ok(watchEvents > report.nodes, "the API server's own figures are read");
  assert.ok(watchEvents <= watchEventsPerNodeMax * report.nodes, summaryOf(result));
});

test("lab on Kubernetes: pairwise, where the controller only keeps the roster", options, async () => {
  const words = ["--coordination", "pairwise", "--nodes", "3", "--rotations", "1"];
  const result = await runLabCommand("--registry", "kubernetes", ...words);
  assert.equal(result.code, 0, summaryOf(result));
  assert.equal(result.report.packets.lost, 0);
});
