/**
 * In a guest with ESP: real agents in namespaces with traffic between them, and a roster of a thousand. One rotation as
 * it is, then one with a busy loop for each processor. Prints one line of JSON.
 */
import { spawn } from "node:child_process";
import { cpus } from "node:os";
import { connectEmbedded } from "../../src/adapters/registry/embedded/open.js";
import type { NodeName } from "../../src/core/node.js";
import { startLab, type Lab } from "../../src/lab/lab.js";
import { labDefaults } from "../../src/lab/options.js";
import type { LabReport } from "../../src/lab/report.js";
import { quietHost } from "../../test/support/lab.js";
import { makeWhole, until } from "../../test/support/kernel-lab.js";
import { admitEchoes } from "../agent/echoed-fleet.js";
import { writeEchoes } from "./echo-writer.js";

export interface StagingFigures {
  readonly processors: number;
  readonly roster: number;
  readonly report: LabReport;
  /** Of each rotation: by agents, in the agents' own words, from the load of the key to the last SA read back. */
  readonly stagingMs: readonly (readonly (number | null)[])[];
}

const nodes = 3;
const roster = Number(process.argv[2] ?? "1000");

async function joinEchoes(lab: Lab): Promise<() => void> {
  const { registry } = connectEmbedded({ address: { kind: "unix", path: lab.layout.registrySocket } });
  const echoes = await admitEchoes(registry, roster - nodes, null);
  const stop = writeEchoes(registry, "node-1" as NodeName, echoes);
  const isCovered = (): boolean => {
    const { record } = lab.view;
    const revision = record?.through.find(({ key }) => key.keyId === record.current?.keyId)?.revision ?? 0;
    const behind = lab.nodes.filter(({ node }) => (lab.view.report(node)?.through ?? 0) < revision);
    return revision >= lastRevision && behind.length === 0;
  };
  let lastRevision = Infinity;
  const stopWatching = registry.watchRoster((event) => {
    if (event.kind === "listing") lastRevision = event.revision;
  });
  await until(isCovered);
  stopWatching();
  return () => {
    stop();
    registry.close();
  };
}

/** A program that never rests, for each processor. @returns how they end */
function keepBusy(): () => void {
  const loops = cpus().map(() => spawn("sh", ["-c", "while :; do :; done"], { stdio: "ignore" }));
  return () => {
    for (const loop of loops) loop.kill("SIGKILL");
  };
}

async function rotate(lab: Lab): Promise<readonly (number | null)[]> {
  await lab.rotate();
  const stagingMs = lab.nodes.map(({ node }) => lab.view.report(node)?.stagingMs ?? null);
  await makeWhole(lab);
  return stagingMs;
}

const options = { ...labDefaults, dataplane: "kernel", encapsulation: "none", nodes } as const;
const lab = await startLab(options, { ...quietHost, provesPaths: false });
const leave = await joinEchoes(lab);
console.error("  the roster is whole, rotating");
const stagingMs = [await rotate(lab)];
console.error("  rotating beside busy loops");
const rest = keepBusy();
stagingMs.push(await rotate(lab));
const report = await lab.finish();
rest();
leave();
const figures: StagingFigures = { processors: cpus().length, roster, report, stagingMs };
console.log(JSON.stringify(figures));
