/**
 * What a lab needs of its registry, whatever its kind: the servers that run it, the words that its
 * programs' files have for it, and what it counted.
 */
import type { GatewayRegistryPort } from "../../ports/gateway-registry.js";
import type { RegistryPort } from "../../ports/registry.js";
import type { RegistryCounts } from "../fleet/registry-load.js";

export interface LabRegistry {
  /** The `registry` section of an agent's file, by node from 0, and of the controller's; once started. */
  readonly agentSection: (node: number) => object;
  readonly controllerSection: () => object;
  /** Starts what must run before the controller. @throws LabError */
  readonly start: () => Promise<void>;
  /** The lab's own connection, as soon as the registry is there. */
  readonly connect: () => Promise<LabConnection>;
  /** The same for a lab of gateways: to the links that it holds. */
  readonly connectGateways: () => Promise<GatewayRegistryPort>;
  /** Ports of this machine's loopback that programs reach it by, once started; none: a unix socket. */
  readonly ports: () => readonly number[];
  /** Ends what `start` started, after every program of the lab has ended. */
  readonly stop: () => Promise<void>;
}

export interface LabConnection {
  readonly registry: RegistryPort;
  /** Since the registry was empty; null while it cannot be reached. */
  readonly counts: () => Promise<RegistryCounts | null>;
}
