/** What a lab of gateways runs: hub and sites of ours, or the field's order. */
import type { Program } from "../fleet/program.js";
import type { LabRegistry } from "../registry/lab-registry.js";
import type { GatewayWorld, WorldSite } from "./world.js";

export interface FleetPlace {
  readonly directory: string;
  readonly world: GatewayWorld;
  /** It runs already, unless a hub keeps it. */
  readonly registry: LabRegistry;
  /** Starts `spindle lab-gateway` with these words, at a site or outside of both. */
  start(name: string, words: readonly string[], site: WorldSite | null): Program;
}

export interface GatewayFleet {
  start(): Promise<void>;
  /** The link carries traffic in both directions, through every pair. */
  readonly isReady: boolean;
  /** Orders one rotation. */
  rotate(): Promise<void>;
  /** Of the rotation ordered last, null while it runs. */
  readonly outcome: string | null;
  /** For people: how far it is. */
  readonly phase: string;
  readonly openvpnVersion: string;
  close(): void;
}
