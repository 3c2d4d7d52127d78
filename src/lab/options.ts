/** What a run of the lab can be asked for, and what is refused. Durations are milliseconds. */
import type { IpsecMode } from "../core/node.js";
import { fail, succeed, type Result } from "../core/result.js";

export type Coordination = "barrier" | "pairwise";
export type Order = "stage-first" | "advertise-first";
export type LabJitter = "off" | "uniform" | "slotted";

export type LabRegistryKind = "embedded" | "etcd" | "kubernetes";
export type LabDataplane = "userspace" | "kernel";

export interface LabEndpoint {
  readonly host: string;
  readonly port: number;
}

export type Encapsulation = "udp" | "none";

export interface LabOptions {
  readonly nodes: number;
  readonly rotations: number;
  /** Packets per second, per ordered pair of nodes. */
  readonly rate: number;
  readonly coordination: Coordination;
  readonly order: Order;
  /** Added to the staging of one node; 0 for none. */
  readonly slowNodeMs: number;
  readonly drainMs: number;
  readonly jitter: LabJitter;
  readonly dataplane: LabDataplane;
  readonly registry: LabRegistryKind;
  /** Members of an etcd cluster that runs already; none: the lab starts one. */
  readonly registryEndpoints: readonly LabEndpoint[];
  /** The nodes' addresses are IPv6, and so is the traffic; needs the kernel's dataplane. */
  readonly ipv6: boolean;
  /** What carries ESP. The userspace dataplane has UDP only. */
  readonly encapsulation: Encapsulation;
  /** `tunnel`: the traffic is between networks behind the nodes; needs the kernel's dataplane. */
  readonly ipsecMode: IpsecMode;
  /** Which node is slow, and when each stream of packets begins. */
  readonly seed: number;
  /** Leave the directory with configurations, logs and state. */
  readonly keep: boolean;
}

export const labDefaults: LabOptions = {
  nodes: 5,
  rotations: 3,
  rate: 50,
  coordination: "barrier",
  order: "stage-first",
  slowNodeMs: 0,
  drainMs: 1_000,
  jitter: "off",
  dataplane: "userspace",
  registry: "embedded",
  registryEndpoints: [],
  ipv6: false,
  encapsulation: "udp",
  ipsecMode: "transport",
  seed: 1,
  keep: false,
};

/** Two processes per node on one machine: more would measure the machine. */
export const labNodesMax = 64;
export const labRateMax = 10_000;
export const labRotationsMax = 1_000;
/** How long the lab's jitter may spread a new key. */
export const labJitterMaxMs = 2_000;

/** The value is the options; the error says what is wrong and why. */
export function checkLabOptions(options: LabOptions): Result<LabOptions, string> {
  const { nodes, rotations, rate, coordination, order } = options;
  if (!isWithin(nodes, 2, labNodesMax)) return fail(`--nodes must be from 2 to ${labNodesMax}`);
  if (!isWithin(rotations, 1, labRotationsMax)) {
    return fail(`--rotations must be from 1 to ${labRotationsMax}`);
  }
  if (!isWithin(rate, 1, labRateMax)) return fail(`--rate must be from 1 to ${labRateMax}`);
  if (order === "advertise-first" && coordination === "barrier") {
    return fail(
      "--order advertise-first needs --coordination pairwise: with a barrier no node acts on " +
        "another node's report, so there is nothing to advertise too early",
    );
  }
  if (options.ipv6 && options.dataplane === "userspace") {
    return fail("--ipv6 needs --dataplane kernel: the userspace dataplane of the lab is on 127.0.0.1");
  }
  if (options.registry !== "embedded" && options.dataplane === "kernel") {
    return fail(
      `--registry ${options.registry} needs --dataplane userspace: nodes of the kernel's dataplane ` +
        "have networks of their own, from which the loopback that it listens on is not reached",
    );
  }
  if (options.registryEndpoints.length > 0 && options.registry !== "etcd") {
    return fail("--registry-endpoint needs --registry etcd");
  }
  if (options.encapsulation === "none" && options.dataplane === "userspace") {
    return fail("--encapsulation none needs --dataplane kernel: userspace has no protocol of its own, only UDP");
  }
  if (options.ipsecMode === "tunnel" && options.dataplane === "userspace") {
    return fail("--ipsec-mode tunnel needs --dataplane kernel: the userspace dataplane has transport mode only");
  }
  return succeed(options);
}

function isWithin(value: number, min: number, max: number): boolean {
  return Number.isInteger(value) && value >= min && value <= max;
}
