/**
 * How many watch events per second a registry is taken to deliver, to all watchers together, and how that is known. Only
 * the embedded one was measured by this project; the others are assumptions until a load test says otherwise.
 */
export type RegistryKind = "embedded" | "etcd" | "kubernetes";

export interface RegistryCapacity {
  readonly eventsPerSecond: number;
  readonly measured: boolean;
  readonly source: string;
}

export const registryCapacities: Readonly<Record<RegistryKind, RegistryCapacity>> = {
  embedded: {
    eventsPerSecond: 20_000,
    measured: true,
    source: "28 to 50 thousand delivered to 100 watchers of reports, on 2 busy cores with every write durable; taken low",
  },
  etcd: {
    eventsPerSecond: 30_000,
    measured: false,
    source: "etcd's performance page: over 30,000 requests per second from 3 members; an event is taken to cost a request",
  },
  kubernetes: {
    eventsPerSecond: 45_000,
    measured: false,
    source: "cilium #15153: about 90,000 events per second overwhelm a master of 96 CPUs; half of it, as others watch too",
  },
};
