/**
 * Faults of a registry's servers, agents and controllers during rotations under traffic: nothing is
 * lost, and the fleet converges. `SPINDLE_SEED` repeats a run, `SPINDLE_KEEP` leaves its logs; test/long has more of them.
 */
import { test } from "node:test";
import { ProxiedEtcd } from "../support/chaos/proxied-etcd.js";
import { ProxiedKubernetes } from "../support/chaos/proxied-kubernetes.js";
import { runChaos } from "../support/chaos/run.js";
import { skipWithoutEtcd } from "../support/etcd.js";
import { skipWithoutKubernetes } from "../support/kubernetes.js";

const seed = Number(process.env["SPINDLE_SEED"] ?? 3);
const fleet = { seed, nodes: 4, rotations: 1, faultsPerRotation: 8, coordination: "barrier" } as const;
/** The outage outlasts both, and faults may. */
const leases = { durationMs: 1_500, silentMs: 4_000 };
const outage = { awayMs: 8_000, how: "killed" } as const;

const registries = [
  { kind: "etcd", skip: await skipWithoutEtcd(), makeRegistry: (nodes: number) => new ProxiedEtcd(nodes) },
  { kind: "Kubernetes", skip: skipWithoutKubernetes, makeRegistry: (nodes: number) => new ProxiedKubernetes(nodes) },
];

for (const { kind, skip, makeRegistry } of registries) {
  test(`chaos on ${kind}: programs and servers killed, stopped and cut off, then no registry at all: nothing is lost`, {
    skip,
  }, async (context) => {
    context.diagnostic(`seed ${seed}`);
    await runChaos({ ...fleet, makeRegistry, leases, outage, cutsOff: true });
  });
}
