/** A whole fleet of agents on a real kernel, through what happens to fleets. One guest runs all cases. */
import { fileURLToPath } from "node:url";
import { declareCases } from "../support/kernel-cases.js";
import { fleetSet } from "./case-sets.js";

const program = fileURLToPath(new URL("guest.js", import.meta.url));
/** A quiet machine needs 90 s. */
const timeoutMs = 600_000;
/** An agent for each of three nodes, a controller, and the program of the cases. */
const memoryMib = 900;

declareCases(fleetSet.cases, [program, fleetSet.name], { timeoutMs, memoryMib });
