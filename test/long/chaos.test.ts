/** More seeds of chaos, both coordinations, and registries that are away for ten minutes. */
import { test } from "node:test";
import { ProxiedEtcd } from "../support/chaos/proxied-etcd.js";
import { ProxiedKubernetes } from "../support/chaos/proxied-kubernetes.js";
import { runChaos } from "../support/chaos/run.js";
import { skipWithoutEtcd } from "../support/etcd.js";
import { skipWithoutKubernetes } from "../support/kubernetes.js";

const first = Number(process.env["SPINDLE_SEED"] ?? 100);
const seeds = Number(process.env["SPINDLE_SEEDS"] ?? 8);
/** Longer than every lease and time-out of a program. */
const awayMs = Number(process.env["SPINDLE_AWAY_MS"] ?? 600_000);
/** Most faults outlast them, so that nodes are excluded, and come back. */
const shortLeases = { durationMs: 1_000, silentMs: 2_500 };

const registries = [
  { kind: "etcd", skip: await skipWithoutEtcd(), makeRegistry: (nodes: number) => new ProxiedEtcd(nodes) },
  { kind: "Kubernetes", skip: skipWithoutKubernetes, makeRegistry: (nodes: number) => new ProxiedKubernetes(nodes) },
];

for (const { kind, skip, makeRegistry } of registries) {
  for (let seed = first; seed < first + seeds; seed++) {
    const coordination = seed % 2 === 0 ? "barrier" : "pairwise";
    const leases = seed % 4 < 2 ? {} : { leases: shortLeases };
    test(`chaos on ${kind}: seed ${seed}, ${coordination}`, { skip }, async () => {
      const options = { seed, nodes: 5, rotations: 3, faultsPerRotation: 8, coordination, ...leases } as const;
      await runChaos({ ...options, makeRegistry });
    });
  }
}

/** They mostly wait. */
test("the registry is away for ten minutes", { concurrency: true }, async (context) => {
  const outages = registries.flatMap(({ kind, skip, makeRegistry }) =>
    (["killed", "frozen"] as const).map((how) => {
      const fleet = { seed: first, nodes: 4, rotations: 1, faultsPerRotation: 0, coordination: "barrier" } as const;
      const run = (): Promise<void> => runChaos({ ...fleet, makeRegistry, outage: { awayMs, how } });
      return context.test(`${kind}, ${how}`, { skip }, run);
    }),
  );
  await Promise.all(outages);
});
