/** The cases of each guest, and the modules that it lacks. */
import type { KernelCase } from "../support/kernel-cases.js";
import { cleanupCases } from "./cases/cleanup.js";
import { codecCases } from "./cases/codec.js";
import { counterCases } from "./cases/counters.js";
import { doctorCases, noEspDoctorCases } from "./cases/doctor.js";
import { driftCases } from "./cases/drift.js";
import { encapsulationCases } from "./cases/encapsulation.js";
import { fleetCases } from "./cases/fleet.js";
import { errorCases, noCipherCases, noEspCases } from "./cases/errors.js";
import { notificationCases } from "./cases/notifications.js";
import { pathProofCases } from "./cases/path-proof.js";
import { policyLevelCases } from "./cases/policy-levels.js";
import { portCases } from "./cases/port.js";
import { trafficCases } from "./cases/traffic.js";
import { tunnelLevelCases } from "./cases/tunnel-levels.js";
import { tunnelCases } from "./cases/tunnel.js";

export interface CaseSet {
  readonly name: string;
  readonly cases: readonly KernelCase[];
  /** Modules can only be withheld from a kernel of our own: such a set runs in User-Mode Linux. */
  readonly withoutModules: readonly string[];
}

export const caseSets: readonly CaseSet[] = [
  {
    name: "complete",
    cases: [...codecCases, ...errorCases, ...notificationCases, ...trafficCases, ...portCases],
    withoutModules: [],
  },
  {
    name: "agents-and-commands",
    cases: [
      ...driftCases,
      ...cleanupCases,
      ...policyLevelCases,
      ...encapsulationCases,
      ...doctorCases,
      ...counterCases,
    ],
    withoutModules: [],
  },
  { name: "tunnels-and-paths", cases: [...tunnelCases, ...tunnelLevelCases, ...pathProofCases], withoutModules: [] },
  { name: "no-esp", cases: [...noEspCases, ...noEspDoctorCases], withoutModules: ["esp4", "esp6"] },
  { name: "no-cipher", cases: noCipherCases, withoutModules: ["gcm"] },
];

/** Cases of a whole fleet, in a guest of their own: it takes longer. */
export const fleetSet: CaseSet = {
  name: "fleet",
  cases: fleetCases({}, 5),
  withoutModules: [],
};

/** For test/long. */
export const longFleetSet: CaseSet = {
  name: "long-fleet",
  cases: fleetCases({ coordination: "pairwise", ipv6: true }, 100),
  withoutModules: [],
};
